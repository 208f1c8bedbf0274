"""Implements the write-ahead log, which makes entries and hard states durable.

The log consists of preallocated segments of `segment_bytes`. Each segment begins with a head (link
to the previous segment, metadata, hard state), so the segments before a snapshot can be removed.
When a segment is full, the next one is written under a temporary name, synced, and then renamed.

The log has one owner, which makes one call at a time: any number of `append`s, then `sync`. The
member may acknowledge appended records only after `sync` has returned. After a DiskError the log
accepts no more records. The content of the file's tail is unknown, and a failed sync must not be
retried (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020).

With a seal (`splitbrain.node.storage.durable_end`), `sync` also makes the seal durable before it
returns. If the disk then loses the last records of the log, `Wal.open` notices it and raises
WalCorrupt.

Source: etcd's server/storage/wal.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from splitbrain.node.raft.message import (
    START,
    Entry,
    HardState,
    Index,
    Position,
    SnapshotMetadata,
)
from splitbrain.node.storage.durable_end import Seal, SealFile
from splitbrain.node.storage.wal_record import RecordType, encode_record
from splitbrain.node.storage.wal_replay import (
    NO_SNAPSHOT,
    Mark,
    WalMetadata,
    first_needed,
    read_promises,
    replay,
    snapshot_marks,
)
from splitbrain.node.storage.wal_segment_reader import (
    ASIDE,
    ERA,
    SegmentHead,
    SegmentName,
    Tail,
    WalCorrupt,
    era_of,
    list_segments,
    segments_of_all_eras,
)
from splitbrain.node.world import Disk, DiskError, File

__all__ = [
    "NO_SNAPSHOT",
    "SEGMENT_BYTES",
    "Wal",
    "WalCorrupt",
    "WalMetadata",
    "read_promises",
    "snapshot_marks",
    "wal_exists",
]

SEGMENT_BYTES = 64 * 1024**2
# A constant of the module is faster than an attribute of an enum class.
_ENTRY, _HARD_STATE = RecordType.ENTRY, RecordType.HARD_STATE
_encode = msgspec.msgpack.Encoder().encode


def wal_exists(disk: Disk, directory: str) -> bool:
    """Return whether `directory` contains a write-ahead log."""
    return bool(list_segments(disk, directory))


class Wal:
    """An open write-ahead log. The class methods `create`, `open` and `begin_anew` return it."""

    def __init__(
        self,
        disk: Disk,
        directory: str,
        metadata: WalMetadata,
        *,
        segment_bytes: int,
        seal: SealFile | None,
    ) -> None:
        self._disk = disk
        self._seal = seal
        self._directory = directory
        self._metadata = metadata
        self._segment_bytes = segment_bytes
        self._hard_state = HardState()
        self._last_index: Index = 0
        self._last: Position = START
        """The position of the last entry or of the newest snapshot mark, whichever is later."""
        self._floor: Position = START
        self._segment = SegmentName(-1, 0)
        self._file: File | None = None
        self._end = 0
        self._durable = 0
        self._link = 0
        self._why_closed = ""
        self._durable_commit: Index = 0
        """The commit index in the last hard state that was synced."""
        self._marks: list[Mark] = []
        """The snapshot marks in the existing segments, oldest first."""

    @classmethod
    async def create(
        cls,
        disk: Disk,
        directory: str,
        metadata: WalMetadata,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        seal: SealFile | None = None,
    ) -> Wal:
        """Create a log in `directory`. Its only record is the mark of the empty snapshot.

        Raises FileExistsError, DiskError.
        """
        if wal_exists(disk, directory):
            raise FileExistsError(f"{directory} already contains a write-ahead log; open it")
        disk.make_directory(directory)
        await disk.sync_directory(_parent(directory))
        wal = cls(disk, directory, metadata, segment_bytes=segment_bytes, seal=seal)
        await wal._begin_segment(SegmentName(0, 0), NO_SNAPSHOT)
        await wal._write_seal(wal._appended())
        return wal

    @classmethod
    async def open(
        cls,
        disk: Disk,
        directory: str,
        after: SnapshotMetadata = NO_SNAPSHOT,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        seal: SealFile | None = None,
    ) -> tuple[Wal, WalMetadata, HardState, list[Entry]]:
        """Open the log in `directory`, and repair its end.

        Returns the log, its metadata, the last hard state, and the entries after the snapshot
        `after`. The log must contain the mark of this snapshot. A torn record at the end is cut
        off. All returned data is durable, because `open` also syncs records that a killed process
        wrote without a sync.

        Raises WalCorrupt, DiskError, and FileNotFoundError if there is no log.
        """
        found = replay(disk, directory, after, seal.read() if seal is not None else None)
        assert found.metadata is not None
        wal = cls(disk, directory, found.metadata, segment_bytes=segment_bytes, seal=seal)
        wal._hard_state = found.hard_state
        wal._last_index = max(after.index, found.last_entry[1])
        wal._last, wal._floor = found.end, found.floor
        wal._segment = found.segment
        wal._link, wal._end = found.tail.link, found.tail.end
        wal._durable = wal._end
        wal._durable_commit = found.hard_state.commit
        wal._marks = found.marks
        wal._file = disk.open(wal._path(wal._segment))
        await wal._repair_tail(found.tail)
        await wal._remove_earlier_eras()
        await wal._write_seal(wal._appended())
        return wal, found.metadata, found.hard_state, found.entries

    @classmethod
    async def begin_anew(
        cls,
        disk: Disk,
        directory: str,
        metadata: WalMetadata,
        *,
        base: SnapshotMetadata,
        hard_state: HardState,
        floor: Position,
        segment_bytes: int = SEGMENT_BYTES,
        seal: SealFile | None = None,
    ) -> Wal:
        """Replace a damaged log by a new one without entries.

        The new log begins after the snapshot `base`. It records `hard_state` and `floor`, with
        which `Raft` then starts. If the member crashes during the call, the next start finds either
        the old log or the new one. Raises DiskError.
        """
        disk.make_directory(directory)
        await disk.sync_directory(_parent(directory))
        replaced = segments_of_all_eras(disk, directory)
        sealed = seal.read() if seal is not None else None
        sequences = [name.sequence for name in replaced] + ([sealed.sequence] if sealed else [])
        era = max(sequences, default=0) // ERA + 1
        wal = cls(disk, directory, metadata, segment_bytes=segment_bytes, seal=seal)
        wal._hard_state, wal._floor = hard_state, floor
        wal._last_index, wal._last = base.index, (base.term, base.index)
        await wal._begin_segment(SegmentName(era * ERA, base.index + 1), base)
        await wal._write_seal(wal._appended())
        await wal._remove_earlier_eras()
        return wal

    async def _remove_earlier_eras(self) -> None:
        names = segments_of_all_eras(self._disk, self._directory)
        for name in names:
            if era_of(name) < era_of(self._segment):
                self._disk.remove(self._path(name))
        if era_of(names[0]) < era_of(self._segment):
            await self._disk.sync_directory(self._directory)

    async def _repair_tail(self, tail: Tail) -> None:
        """Cut off a torn record at the end of the log, and make all complete records durable."""
        for name in self._disk.list(self._directory):
            if name.endswith(ASIDE):
                self._disk.remove(f"{self._directory}/{name}")
        self._cut_off_torn(tail)
        self._extend_trimmed(tail)
        self._write_again(tail)
        await self._make_durable()

    def _cut_off_torn(self, tail: Tail) -> None:
        """Replace the torn data after the last complete record by zeros."""
        assert self._file is not None
        if tail.torn is not None:
            self._file.truncate(tail.end)
            self._file.truncate(max(tail.file_bytes, tail.end))

    def _extend_trimmed(self, tail: Tail) -> None:
        """Restore the full size of the newest segment, which `trim` has reduced.

        Later syncs then need not make a new file size durable.
        """
        assert self._file is not None
        if tail.torn is None and tail.file_bytes == tail.end < self._segment_bytes:
            self._file.truncate(self._segment_bytes)

    async def _make_durable(self) -> None:
        assert self._file is not None
        await self._file.sync()
        await self._disk.sync_directory(self._directory)

    def _write_again(self, tail: Tail) -> None:
        """Write all records again that are possibly not durable. The next sync makes them durable.

        This is necessary after a failed sync, because the kernel then marks the affected pages in
        the page cache as clean. A restarted process can read these pages, but they are not on the
        disk, and a later sync would not write them (Rebello et al., section 3).
        """
        assert self._file is not None
        if tail.end > tail.durable:
            content = self._disk.read(self._path(self._segment))
            self._file.write(tail.durable, content[tail.durable : tail.end])

    def append(self, hard_state: HardState | None, entries: Sequence[Entry]) -> None:
        """Write entries and a hard state to the page cache. Only `sync` makes them durable.

        Raises DiskError. The entries are written before the hard state. Therefore the commit index
        is never beyond the end of the log after a torn write.
        """
        records = [self._framed(_ENTRY, _encode(entry)) for entry in entries]
        if hard_state is not None and hard_state != self._hard_state:
            records.append(self._framed(_HARD_STATE, _encode(hard_state)))
            self._hard_state = hard_state
        if entries:
            self._last_index = entries[-1].index
            self._last = (entries[-1].term, entries[-1].index)
        self._write(records)

    def _framed(self, kind: RecordType, content: bytes) -> bytes:
        record, self._link = encode_record(kind, content, link=self._link, durable=self._durable)
        return record

    def _write(self, records: list[bytes]) -> None:
        file = self._open_file()
        data = b"".join(records)
        if not data:
            return
        try:
            file.write(self._end, data)
        except DiskError as problem:
            self._fail(problem)
            raise
        self._end += len(data)

    @property
    def last_index(self) -> Index:
        """The index of the last appended entry, even if it is not synced yet."""
        return self._last_index

    @property
    def hard_state(self) -> HardState:
        """The last appended hard state, even if it is not synced yet."""
        return self._hard_state

    @property
    def floor(self) -> Position:
        """The position of the last entry that this member may have acknowledged and then lost.

        The floor is START if the log has lost nothing, or has reached that position again.
        """
        return self._floor if self._last < self._floor else START

    @property
    def unsynced_bytes(self) -> int:
        """The number of bytes of the log that are not known to be durable. The disk reports it."""
        return self._file.unsynced_bytes if self._file is not None else 0

    async def sync(self) -> None:
        """Make all appended records durable. If the segment is full, begin the next one.

        If the log has a seal, the seal is durable, too, when this method returns. Raises DiskError.
        """
        file, appended = self._open_file(), self._appended()
        try:
            await sync_file(file)
            self._durable, self._durable_commit = appended.end, appended.hard_state.commit
            if self._is_full():
                await self._cut()
                appended = self._appended()
            await self._write_seal(appended)
        except DiskError as problem:
            self._fail(problem)
            raise

    async def save(
        self, hard_state: HardState | None, entries: Sequence[Entry], *, sync: bool
    ) -> None:
        """Append a hard state and entries. If `sync` is True, make them durable."""
        self.append(hard_state, entries)
        if sync:
            await self.sync()

    async def save_snapshot_mark(
        self, metadata: SnapshotMetadata, *, committed: bool = False
    ) -> None:
        """Write the mark of a snapshot, and make it durable.

        The mark is a record that says that the snapshot exists. The snapshot's file must already be
        durable. A file without a mark is harmless, because it is not used, but a mark without its
        file would leave a gap in the data.

        A mark is valid only if its index is not above the commit index of the log's last hard state
        (see `snapshot_marks`). With `committed`, this method first raises the commit index to the
        snapshot's index, so the mark is valid at once. Without it, the mark becomes valid when a
        later hard state reaches the snapshot's index.
        """
        if committed and self._hard_state.commit < metadata.index:
            self.append(msgspec.structs.replace(self._hard_state, commit=metadata.index), ())
        self._write([self._framed(RecordType.SNAPSHOT_MARK, _encode(metadata))])
        self._last_index = max(self._last_index, metadata.index)
        self._last = max(self._last, (metadata.term, metadata.index))
        self._marks.append(Mark(metadata, self._segment.sequence))
        await self.sync()

    async def release(self, index: Index) -> int:
        """Remove the segments that no kept snapshot needs, and return their number.

        `index` is the index of the oldest snapshot that is kept. With the remaining segments, the
        log can be opened after this snapshot or a later one.

        The mark of the oldest kept snapshot can be beyond the durable commit index. A start after a
        crash would ignore this mark (see `snapshot_marks`), and use the newest valid mark instead.
        In this case, the segments that the newest valid mark needs are kept, too.
        """
        bound = min(index, self._durable_commit)
        usable = [mark for mark in self._marks if mark.metadata.index <= bound]
        if not usable:
            return 0
        oldest = max(usable, key=lambda mark: (mark.metadata.index, mark.sequence))
        segments = list_segments(self._disk, self._directory)
        # A mark that was ignored after a crash can be in a much earlier segment than the
        # entries that follow its snapshot.
        in_segment = [name.sequence for name in segments].index(oldest.sequence)
        keep = min(first_needed(segments, oldest.metadata.index), in_segment)
        for name in segments[:keep]:
            self._disk.remove(self._path(name))
        if keep:
            await self._disk.sync_directory(self._directory)
        self._marks = [
            mark
            for mark in self._marks
            if mark.metadata.index >= oldest.metadata.index
            and mark.sequence >= segments[keep].sequence
        ]
        return keep

    def _appended(self) -> Seal:
        """Return a seal that covers all appended records.

        It may be written only when these records are durable.
        """
        term, index = max(self._last, self._floor)
        return Seal(
            cluster_id=self._metadata.cluster_id, member_id=self._metadata.member_id,
            sequence=self._segment.sequence, end=self._end, link=self._link,
            hard_state=self._hard_state, last_term=term, last_index=index,
        )

    async def _write_seal(self, seal: Seal) -> None:
        """Write the seal, if the log has one.

        Only afterwards may the member acknowledge the records that the seal covers.
        """
        if self._seal is not None:
            await self._seal.write(seal)

    def trim(self) -> None:
        """Cut the unused preallocated space off the newest segment.

        This is done before a clean stop. A crash at any point is safe, because only zeros after the
        last record are cut off, and a segment may end directly after its last record. Raises
        DiskError.
        """
        if self._file is not None:
            self._file.truncate(self._end)

    def close(self) -> None:
        """Close the files without a sync."""
        if self._seal is not None:
            self._seal.close()
        if self._file is not None:
            self._file.close()
            self._file = None
            self._why_closed = self._why_closed or "it is closed"

    def _is_full(self) -> bool:
        return self._end >= self._segment_bytes

    async def _cut(self) -> None:
        old = self._open_file()
        if self._durable != self._end:
            await sync_file(old)
        self._file, self._why_closed = None, "the next segment is being created"
        await self._begin_segment(SegmentName(self._segment.sequence + 1, self._last_index + 1))
        old.close()

    async def _begin_segment(self, name: SegmentName, mark: SnapshotMetadata | None = None) -> None:
        records = self._head_records(name)
        if mark is not None:
            records.append(self._framed(RecordType.SNAPSHOT_MARK, _encode(mark)))
            self._marks.append(Mark(mark, name.sequence))
        commit = self._hard_state.commit
        data = b"".join(records)
        aside = self._path(name) + ASIDE
        file = self._disk.create(aside, preallocate_bytes=max(self._segment_bytes, len(data)))
        file.write(0, data)
        await self._give_name(file, aside, name)
        self._segment, self._file, self._why_closed = name, file, ""
        self._end = self._durable = len(data)
        self._durable_commit = commit

    def _head_records(self, name: SegmentName) -> list[bytes]:
        """Return the records at the beginning of a segment: its head, the metadata, the hard state.

        With these records, the segment can be read without the earlier segments, which may be
        removed.
        """
        head = SegmentHead(name.sequence, self._link)
        self._link = self._durable = 0
        return [
            self._framed(RecordType.SEGMENT, _encode(head)),
            self._framed(RecordType.METADATA, _encode(self._metadata)),
            self._framed(RecordType.HARD_STATE, _encode(self._hard_state)),
            *([self._framed(RecordType.FLOOR, _encode(self.floor))] if self.floor > START else []),
        ]

    async def _give_name(self, file: File, aside: str, name: SegmentName) -> None:
        """Make `file`, the segment file `aside`, durable. Then durably give it its name."""
        await sync_file(file)
        self._disk.rename(aside, self._path(name))
        await self._disk.sync_directory(self._directory)

    def _path(self, name: SegmentName) -> str:
        return f"{self._directory}/{name}"

    def _open_file(self) -> File:
        if self._file is None:
            raise DiskError(
                f"the write-ahead log {self._directory} accepts no records: {self._why_closed}"
            )
        return self._file

    def _fail(self, problem: DiskError) -> None:
        self._why_closed = f"an earlier write failed ({problem})"
        self.close()


async def sync_file(file: File) -> None:
    await file.sync()


def _parent(directory: str) -> str:
    return directory.rpartition("/")[0] or "."
