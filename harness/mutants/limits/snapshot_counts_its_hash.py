"""Bug: the number of remaining bytes of a snapshot includes the hash."""

from __future__ import annotations

from collections.abc import Iterator

from splitbrain.harness.mutants.mutant import SNAPSHOTS_HUNT, SNAPSHOTS_RUN, Mutant
from splitbrain.histories.maintenance import HASH_BYTES
from splitbrain.node.api import maintenance_service
from splitbrain.node.storage import backup_file

MUTANT = Mutant(
    what="a block of a snapshot says that 32 bytes more remain than the rest of the content has",
    source="etcd's Maintenance.Snapshot does not count the SHA-256 in remaining_bytes",
    found_by=("snapshot",),
    run=SNAPSHOTS_RUN,
    hunt=SNAPSHOTS_HUNT,
)


def plant() -> None:
    original = backup_file.blocks

    def blocks(backup: bytes, block_bytes: int) -> Iterator[tuple[bytes, int]]:
        for blob, remaining in original(backup, block_bytes):
            yield blob, remaining if len(blob) == HASH_BYTES else remaining + HASH_BYTES

    maintenance_service.blocks = blocks  # type: ignore[attr-defined]
