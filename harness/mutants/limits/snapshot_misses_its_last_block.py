"""Bug: a member does not send the last block of a snapshot, and sends the hash of the others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from splitbrain.harness.mutants.mutant import SNAPSHOTS_HUNT, SNAPSHOTS_RUN, Mutant
from splitbrain.node.api import maintenance_service
from splitbrain.node.storage import backup_file

MUTANT = Mutant(
    what="the last block of a snapshot is lost, and the hash is that of the other blocks",
    source="etcd's Maintenance.Snapshot sends the whole file of the backend",
    found_by=("snapshot",),
    run=SNAPSHOTS_RUN,
    hunt=SNAPSHOTS_HUNT,
)


def plant() -> None:
    original = backup_file.blocks

    def blocks(backup: bytes, block_bytes: int) -> Iterator[tuple[bytes, int]]:
        *kept, last, _hash = original(backup, block_bytes)
        digest = hashlib.sha256()
        for blob, remaining in kept:
            digest.update(blob)
            yield blob, remaining - len(last[0])
        yield digest.digest(), 0

    maintenance_service.blocks = blocks  # type: ignore[attr-defined]
