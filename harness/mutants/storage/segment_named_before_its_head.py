"""Bug: a segment of the log gets its name before its head is durable."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.message import SnapshotMetadata
from splitbrain.node.storage.wal import Wal, _encode, sync_file
from splitbrain.node.storage.wal_record import RecordType
from splitbrain.node.storage.wal_replay import Mark
from splitbrain.node.storage.wal_segment_reader import ASIDE, SegmentName

MUTANT = Mutant(
    what="a power loss after the rename of a new segment leaves a segment without a head",
    source="etcd, wal.cut: a segment is written under a temporary name, synced, and then renamed",
    found_by=("invariants",),
)


def plant() -> None:
    async def _begin_segment(
        self: Wal, name: SegmentName, mark: SnapshotMetadata | None = None
    ) -> None:
        records = self._head_records(name)
        if mark is not None:
            records.append(self._framed(RecordType.SNAPSHOT_MARK, _encode(mark)))
            self._marks.append(Mark(mark, name.sequence))
        commit = self._hard_state.commit
        data = b"".join(records)
        aside = self._path(name) + ASIDE
        file = self._disk.create(aside, preallocate_bytes=max(self._segment_bytes, len(data)))
        file.write(0, data)
        await self._give_name(aside, name)
        await sync_file(file)
        self._segment, self._file, self._why_closed = name, file, ""
        self._end = self._durable = len(data)
        self._durable_commit = commit

    Wal._begin_segment = _begin_segment  # type: ignore[method-assign]
