"""Bug: a new log segment is renamed, but its directory is not synced."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.storage.wal import Wal, sync_file
from splitbrain.node.storage.wal_segment_reader import SegmentName
from splitbrain.node.world import File

MUTANT = Mutant(
    what="a power loss can remove a whole segment of the log",
    source="etcd-io/etcd issue 6368; baidu/braft issue 254; Pillai et al., OSDI 2014",
    found_by=("invariants", "write_path", "mvcc"),
)


def plant() -> None:
    async def _give_name(self: Wal, file: File, aside: str, name: SegmentName) -> None:
        await sync_file(file)
        self._disk.rename(aside, self._path(name))

    Wal._give_name = _give_name  # type: ignore[method-assign]
