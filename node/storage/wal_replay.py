"""Reads a write-ahead log: its records in order, and the state that results from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from splitbrain.node.raft.message import (
    START,
    Entry,
    HardState,
    Index,
    Position,
    SnapshotMetadata,
)
from splitbrain.node.storage import wal_segment_reader
from splitbrain.node.storage.durable_end import Seal
from splitbrain.node.storage.wal_record import Record, RecordType
from splitbrain.node.storage.wal_segment_reader import (
    NOTHING_SEALED,
    SealedEnd,
    SegmentName,
    Tail,
    read_segment,
    refuse,
)
from splitbrain.node.world import Disk

_AFTER_ALL = SnapshotMetadata(index=1 << 63)
"""With this snapshot as `after`, `replay` returns no entries."""
NO_SNAPSHOT = SnapshotMetadata()
"""The empty snapshot before entry 1."""
# A constant of the module is faster than an attribute of an enum class.
_ENTRY, _HARD_STATE = RecordType.ENTRY, RecordType.HARD_STATE
_decode_entry = msgspec.msgpack.Decoder(Entry).decode
_decode_hard_state = msgspec.msgpack.Decoder(HardState).decode
_decode_position = msgspec.msgpack.Decoder(Position).decode
_decode_mark = msgspec.msgpack.Decoder(SnapshotMetadata).decode


class WalMetadata(msgspec.Struct, frozen=True, array_like=True):
    """The cluster and the member to which the log belongs, and the version that wrote it."""

    cluster_id: int
    member_id: int
    version: str = ""


_decode_metadata = msgspec.msgpack.Decoder(WalMetadata).decode


@dataclass(frozen=True, slots=True)
class Mark:
    """The mark of a snapshot, and the sequence number of the segment that contains it."""

    metadata: SnapshotMetadata
    sequence: int


@dataclass(slots=True)
class Replay:
    """The state of a log after reading its records in order."""

    after: SnapshotMetadata
    metadata: WalMetadata | None = None
    hard_state: HardState = field(default_factory=HardState)
    entries: list[Entry] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    last_entry: Position = START
    floor: Position = START
    segment: SegmentName = field(default_factory=lambda: SegmentName(0, 0))
    tail: Tail = field(default_factory=Tail)

    @property
    def end(self) -> Position:
        """The position of the last entry, or of the snapshot `after` if that is later."""
        return max((self.after.term, self.after.index), self.last_entry)

    def take(self, record: Record, path: str, *, decode_entries: bool) -> None:
        """Process the next record. Raises WalCorrupt if it contradicts the records before it.

        `path` is the file that contains the record. If `decode_entries` is False, entries are
        skipped.
        """
        if record.type == _ENTRY:
            if decode_entries:
                self._take_entry(_decode_entry(record.content), path)
        elif record.type == _HARD_STATE:
            self.hard_state = _decode_hard_state(record.content)
        elif record.type == RecordType.SNAPSHOT_MARK:
            self.marks.append(Mark(_decode_mark(record.content), self.segment.sequence))
        elif record.type == RecordType.FLOOR:
            self.floor = _decode_position(record.content)
        elif record.type == RecordType.METADATA:
            metadata = _decode_metadata(record.content)
            if self.metadata is not None and metadata != self.metadata:
                refuse(path, self.tail.end, f"the log of {metadata}", f"that of {self.metadata}")
            self.metadata = metadata
        else:
            refuse(path, self.tail.end, f"a record of type {record.type}", "1 to 6")

    def _take_entry(self, entry: Entry, path: str) -> None:
        """Add an entry, and drop the earlier entries with the same or a higher index.

        If an index occurs again, a new leader has replaced the entries from this index on (Raft
        paper, section 5.3).
        """
        self.last_entry = (entry.term, entry.index)
        position = entry.index - self.after.index - 1
        if position < 0:
            return
        if position > len(self.entries):
            expected = self.after.index + len(self.entries) + 1
            refuse(path, self.tail.end, f"entry {entry.index}", f"entry {expected}")
        del self.entries[position:]
        self.entries.append(entry)


def replay(
    disk: Disk,
    directory: str,
    after: SnapshotMetadata | None,
    sealed: Seal | None = None,
    *,
    decode_entries: bool = True,
) -> Replay:
    """Read the log from the snapshot `after` on. If `after` is None, read the whole log.

    Reading begins with the segment that contains the entry after the snapshot. The mark of the
    snapshot is usually in this segment or a later one. If it is not, all segments are read.
    `sealed` is the seal of the log, if it has one. If `decode_entries` is False, entries are
    skipped and the result contains none. Raises WalCorrupt if the log contains no mark of `after`,
    or if the log ends before the end that the seal records.
    """
    segments = wal_segment_reader.list_segments(disk, directory)
    if not segments:
        raise FileNotFoundError(f"{directory} contains no write-ahead log; create it")
    reader = _Reader(disk, directory, sealed, decode_entries=decode_entries)
    if after is None:
        return reader.read(segments, NO_SNAPSHOT)
    found = reader.read(segments[first_needed(segments, after.index) :], after)
    if not _has_mark(found.marks, after):
        # The mark is in an earlier segment in one case. The member crashed before the log's commit
        # index reached the snapshot, so the start ignored the mark (see `snapshot_marks`).
        # Afterwards the member received the entries of the snapshot one by one.
        found = reader.read(segments, after)
    if not _has_mark(found.marks, after):
        refuse(directory, 0, "no mark of the snapshot", f"one at index {after.index}")
    return found


class _Reader:
    def __init__(
        self, disk: Disk, directory: str, sealed: Seal | None, *, decode_entries: bool
    ) -> None:
        self._disk = disk
        self._directory = directory
        self._sealed = sealed
        self._decode_entries = decode_entries

    def read(self, segments: Sequence[SegmentName], after: SnapshotMetadata) -> Replay:
        """Read `segments`, which are the newest ones. Return the state of the log after them."""
        found = Replay(after)
        link: int | None = None
        for position, name in enumerate(segments):
            path = f"{self._directory}/{name}"
            if name.sequence != segments[0].sequence + position:
                refuse(path, 0, "this segment", f"number {segments[0].sequence + position}")
            found.segment = name
            last = position == len(segments) - 1
            for record in read_segment(
                self._disk, path, name,
                link=link, last=last, sealed=self._sealed_end(name), tail=found.tail,
            ):
                found.take(record, path, decode_entries=self._decode_entries)
            link = found.tail.link
        self._check_newest(segments[-1], found.tail.end)
        if found.metadata is None:
            path = f"{self._directory}/{segments[-1]}"
            refuse(path, found.tail.end, "no metadata", "a metadata record")
        return found

    def _sealed_end(self, name: SegmentName) -> SealedEnd | None:
        if self._sealed is None:
            return None
        if self._sealed.sequence == name.sequence:
            return SealedEnd(self._sealed.end, self._sealed.link)
        return NOTHING_SEALED

    def _check_newest(self, newest: SegmentName, end: int) -> None:
        if self._sealed is not None and newest.sequence < self._sealed.sequence:
            refuse(
                f"{self._directory}/{newest}", end, "the newest segment",
                f"number {self._sealed.sequence}, which the seal names",
            )


def _has_mark(marks: list[Mark], snapshot: SnapshotMetadata) -> bool:
    return any(
        (mark.metadata.index, mark.metadata.term) == (snapshot.index, snapshot.term)
        for mark in marks
    )


def first_needed(segments: Sequence[SegmentName], index: Index) -> int:
    """Return the position in `segments` of the last one that begins at or before entry `index`."""
    return max((at for at, name in enumerate(segments) if name.index <= index), default=0)


def read_promises(disk: Disk, directory: str, sealed: Seal | None = None) -> Seal:
    """Read the whole log, and return its end as a `Seal`.

    The seal contains the last hard state, and the latest of these positions: the last entry, the
    snapshot marks, and the floor. The snapshot files are not needed. Raises WalCorrupt, DiskError,
    and FileNotFoundError if there is no log.
    """
    segments = wal_segment_reader.list_segments(disk, directory)
    if not segments:
        raise FileNotFoundError(f"{directory} contains no write-ahead log")
    found = _Reader(disk, directory, sealed, decode_entries=True).read(segments, _AFTER_ALL)
    assert found.metadata is not None
    marks = [(mark.metadata.term, mark.metadata.index) for mark in found.marks]
    term, index = max(found.last_entry, found.floor, *marks)
    return Seal(
        cluster_id=found.metadata.cluster_id, member_id=found.metadata.member_id,
        sequence=found.segment.sequence, end=found.tail.end, link=found.tail.link,
        hard_state=found.hard_state, last_term=term, last_index=index,
    )


def snapshot_marks(
    disk: Disk, directory: str, sealed: Seal | None = None
) -> list[SnapshotMetadata]:
    """Return the snapshots whose marks in the log are valid, oldest first.

    The log is not changed. A mark is valid if its index is not above the commit index of the last
    hard state. A mark with a higher index shows that the member crashed while it received a
    leader's snapshot, before it installed the snapshot. Raises WalCorrupt, DiskError.
    """
    found = replay(disk, directory, None, sealed, decode_entries=False)
    marks = [mark.metadata for mark in found.marks]
    return [mark for mark in marks if mark.index <= found.hard_state.commit]
