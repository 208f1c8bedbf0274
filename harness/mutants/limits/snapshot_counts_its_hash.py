"""Bug: the number of remaining bytes of a snapshot includes the hash."""

from __future__ import annotations

from collections.abc import Iterator

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api import maintenance_service
from splitbrain.node.storage import backup_file

HASH_BYTES = 32

MUTANT = Mutant(
    what="a block of a snapshot says that 32 bytes more remain than the rest of the content has",
    source="etcd's Maintenance.Snapshot does not count the SHA-256 in remaining_bytes",
    found_by=("snapshot",),
    run={
        "workload": "limits", "workload_options": {"snapshots": 1}, "nemesis": (),
        "nodes": (3,), "time_limit_s": 5.0,
    },
    hunt={"workload": "limits", "workload_options": {"snapshots": 1}},
)


def plant() -> None:
    original = backup_file.blocks

    def blocks(backup: bytes, block_bytes: int) -> Iterator[tuple[bytes, int]]:
        for blob, remaining in original(backup, block_bytes):
            yield blob, remaining if len(blob) == HASH_BYTES else remaining + HASH_BYTES

    maintenance_service.blocks = blocks  # type: ignore[attr-defined]
