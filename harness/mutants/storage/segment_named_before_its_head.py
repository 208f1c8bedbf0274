"""Bug: a segment of the log gets its name before its head is durable."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.storage.wal import Wal, sync_file
from splitbrain.node.storage.wal_segment_reader import SegmentName
from splitbrain.node.world import File

MUTANT = Mutant(
    what="a power loss after the rename of a new segment leaves a segment without a head",
    source="etcd, wal.cut: a segment is written under a temporary name, synced, and then renamed",
    found_by=("invariants",),
)


def plant() -> None:
    async def _give_name(self: Wal, file: File, aside: str, name: SegmentName) -> None:
        self._disk.rename(aside, self._path(name))
        await self._disk.sync_directory(self._directory)
        await sync_file(file)

    Wal._give_name = _give_name  # type: ignore[method-assign]
