"""Names the segment files of the write-ahead log, and reads their records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

import msgspec

from splitbrain.node.raft.message import Index
from splitbrain.node.storage import torn_tail
from splitbrain.node.storage.wal_record import Damage, Record, RecordType, read_record
from splitbrain.node.world import Disk

SUFFIX = ".wal"
ASIDE = ".tmp"


class WalCorrupt(Exception):
    """The log is damaged, and no incomplete write at its end explains the damage."""


def refuse(path: str, offset: int, found: str, expected: str) -> NoReturn:
    """Raise WalCorrupt for damaged data at `offset` of the file `path`."""
    raise WalCorrupt(
        f"{path}: offset {offset}: found {found}, expected {expected}. The disk has lost or "
        "changed data of the log, which this member may have acknowledged to other members"
    )


@dataclass(frozen=True, slots=True, order=True)
class SegmentName:
    """The name of a segment: its sequence number, and the index of its first possible entry.

    `index` is the index of the entry that was next when the segment was created. Earlier segments
    can contain entries at `index` or above. Entries in this segment or a later one replace them.
    """

    sequence: int
    index: Index

    def __str__(self) -> str:
        return f"{self.sequence:016x}-{self.index:016x}{SUFFIX}"


def parse_segment_name(name: str) -> SegmentName | None:
    """Parse the name of a segment. Returns None if `name` is not such a name."""
    stem, dot, suffix = name.partition(".")
    sequence, dash, index = stem.partition("-")
    if dot + suffix != SUFFIX or not dash or len(sequence) != 16 or len(index) != 16:
        return None
    try:
        return SegmentName(int(sequence, 16), int(index, 16))
    except ValueError:
        return None


ERA = 1 << 32
"""The sequence numbers of an era begin at a multiple of this number.

If the disk has lost a part of the log, the member begins a new log, in the next era. The segments
of earlier eras are ignored.
"""


def era_of(name: SegmentName) -> int:
    """Return the number of the segment's era.

    An era begins when the member replaces a damaged log by a new one.
    """
    return name.sequence // ERA


def segments_of_all_eras(disk: Disk, directory: str) -> list[SegmentName]:
    """Return the segments of all eras (see `era_of`), in the order of their sequence numbers."""
    names = (parse_segment_name(name) for name in disk.list(directory))
    return sorted(name for name in names if name is not None)


def list_segments(disk: Disk, directory: str) -> list[SegmentName]:
    """Return the segments of the newest era, which form the present log, by sequence number."""
    names = segments_of_all_eras(disk, directory)
    return [name for name in names if era_of(name) == era_of(names[-1])]


class SegmentHead(msgspec.Struct, frozen=True, array_like=True):
    """The first record of a segment.

    `link` is the link of the last record of the previous segment, or 0 if there is no previous
    segment.
    """

    sequence: int
    link: int


class Tail(msgspec.Struct):
    """Describes the end of a segment.

    `end` is the offset after the last record. `torn` is set if torn data follows, which must be cut
    off. The records prove that the data before `durable` was synced. It is unknown whether the data
    from `durable` to `end` was synced. `file_bytes` is the size of the file.
    """

    end: int = 0
    link: int = 0
    durable: int = 0
    torn: Damage | None = None
    file_bytes: int = 0


@dataclass(frozen=True, slots=True)
class SealedEnd:
    """The offset up to which the seal requires a segment to be complete, and the link there."""

    end: int
    link: int


NOTHING_SEALED = SealedEnd(0, 0)
"""The sealed end of a segment about which the seal says nothing."""


def read_segment(
    disk: Disk,
    path: str,
    name: SegmentName,
    *,
    link: int | None,
    last: bool,
    sealed: SealedEnd | None,
    tail: Tail,
) -> Iterator[Record]:
    """Yield all records of a segment except the first one, and update `tail` after each.

    `link` is the link of the previous segment's last record, or None if it is unknown. `sealed` is
    None if the log has no seal. Raises WalCorrupt.

    Only the last segment can end with a torn record, because a segment is synced before the next
    one is created. The head of a segment is never torn, because it is synced before the segment
    gets its name.
    """
    content = disk.read(path)
    data = content.rstrip(b"\0")
    tail.file_bytes = len(content)
    del content
    tail.end, tail.link, tail.durable = 0, 0, 0
    while True:
        found = read_record(data, tail.end, link=tail.link, file_bytes=tail.file_bytes)
        if found is None:
            if tail.end == 0:
                refuse(path, 0, "nothing", "the head of a segment")
            if sealed is not None and tail.end < sealed.end:
                refuse(path, tail.end, "the end of the log", f"more, up to offset {sealed.end}")
            return
        if isinstance(found, Damage):
            sealed_end = None if sealed is None else sealed.end
            if not (last and torn_tail.is_torn(found, data, tail.end, sealed_end)):
                refuse(path, tail.end, found.found, found.expected)
            tail.torn = found
            return
        begin, tail.end, tail.link = tail.end, found.end, found.link
        tail.durable = found.durable
        if sealed is not None and begin < sealed.end:
            _check_sealed(path, found, sealed)
        if begin == 0:
            _check_head(path, name, found, link)
        else:
            yield found


def _check_sealed(path: str, record: Record, sealed: SealedEnd) -> None:
    """Check that the last sealed record of a segment is still there, at the same offset.

    Raises WalCorrupt if `record` ends after the offset `sealed.end`, or ends there with another
    link. A record that ends before this offset is not checked.
    """
    if record.end >= sealed.end and (record.end, record.link) != (sealed.end, sealed.link):
        refuse(
            path, record.end, f"the end of a record with link {record.link:#010x}",
            f"one at offset {sealed.end} with {sealed.link:#010x}, which the seal names",
        )


def _check_head(path: str, name: SegmentName, record: Record, link: int | None) -> None:
    if record.type != RecordType.SEGMENT:
        refuse(path, 0, f"a record of type {record.type}", "the head of a segment")
    head = msgspec.msgpack.decode(record.content, type=SegmentHead)
    if head.sequence != name.sequence:
        refuse(path, 0, f"the head of segment {head.sequence}", f"that of {name.sequence}")
    if link is not None and head.link != link:
        refuse(path, 0, f"a segment that follows link {head.link:#010x}", f"{link:#010x}")
