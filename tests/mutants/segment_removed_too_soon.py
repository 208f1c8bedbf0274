"""When old segments are removed, one more goes than may."""

from __future__ import annotations

from node.raft.message import Index
from node.storage.wal import Wal
from node.storage.wal_segment import list_segments
from tests.mutants import Mutant

MUTANT = Mutant(
    what="a segment that a restart needs is removed",
    source="etcd-io/etcd pull request 11308 (\"open wal error: wal: file not found\")",
    found_by=("invariants",),
)


def spoil() -> None:
    honest = Wal.release

    async def release(self: Wal, index: Index) -> int:
        removed = await honest(self, index)
        segments = list_segments(self._disk, self._directory)
        if removed and len(segments) > 1:
            self._disk.remove(self._path(segments[0]))
        return removed

    Wal.release = release  # type: ignore[method-assign]
