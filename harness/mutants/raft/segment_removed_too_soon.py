"""Bug: removing old log segments removes all segments except the newest."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.message import Index
from splitbrain.node.storage.wal import Wal
from splitbrain.node.storage.wal_segment_reader import list_segments

MUTANT = Mutant(
    what="a segment that a restart needs is removed",
    source="etcd-io/etcd pull request 11308 (\"open wal error: wal: file not found\")",
    found_by=("invariants",),
)


def plant() -> None:
    original = Wal.release

    async def release(self: Wal, index: Index) -> int:
        removed = await original(self, index)
        for name in list_segments(self._disk, self._directory)[:-1]:
            self._disk.remove(self._path(name))
        return removed

    Wal.release = release  # type: ignore[method-assign]
