"""Encodes and decodes records of the write-ahead log, and distinguishes torn and corrupt ones.

The format of a record, with sizes in bytes, is

    length (4) | durable (4) | body CRC (4) | link (4) | body … | padding … END_MARK

The first four fields are the header. Integers are little-endian. Records begin at multiples of 16
bytes, so a header never spans two sectors. The body is a type byte followed by the content.

- `durable`: the offset in this segment up to which everything was synced when the record was
  written.
- `body CRC`: CRC32C of length, durable and body. It checks a record without the other records.
- `link`: CRC32C of the header fields before it, continuing the link of the previous record. This
  chain, as in etcd's WAL, reveals a missing record or a record from another place.

Torn records occur only at the end of the last segment. Segments are preallocated with zeros. After
a power loss, the writes since the last sync can be incomplete: each sector (512 bytes) has its old
or its new content, in any combination, or the file ends early. Synced data is not affected, and
the member has not acknowledged unsynced data to other members.

If a record fails its check, and a lost sector explains the failure, the record is *torn*. It is
then cut off, together with everything after it. A lost sector leaves one of these signs:

- The header and the rest of its sector consist of zeros.
- The part of the record in one sector consists of zeros.
- The END_MARK is missing and only zeros follow, because the write ended early.

The log is *corrupt*, and cannot be opened, in two cases:

- The failure has no such sign. Then bits have changed, perhaps in acknowledged data.
- A complete later record has a field `durable` that covers the offset. Then the missing data was
  synced before the later record was written, so the disk has lost synced data.

One kind of damage cannot be detected, because no later record exists: damage to the last synced
batch that looks exactly like a lost sector.

Source: etcd's server/storage/wal (chained CRC, zeros in a sector as the sign of a torn entry);
Alagappan et al., "Protocol-Aware Recovery for Consensus-Based Storage", FAST 2018, on why a log
must not cut off records that it cannot read.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import google_crc32c

SECTOR_BYTES = 512
ALIGNMENT_BYTES = 16
END_MARK = b"\xa5"
BODY_BYTES_MAX = 1 << 30
HEADER = struct.Struct("<IIII")
_CHECKED = struct.Struct("<II")
_LINKED_BYTES = 12
_PADDINGS = tuple(bytes(zeros) + END_MARK for zeros in range(ALIGNMENT_BYTES))


class RecordType(IntEnum):
    """The kinds of records."""

    SEGMENT = 1
    METADATA = 2
    SNAPSHOT_MARK = 3
    ENTRY = 4
    HARD_STATE = 5
    FLOOR = 6
    """The position of the last entry that the member may have acknowledged.

    Only a log that was begun anew after a loss contains this record (`Wal.begin_anew`).
    """


class Record(NamedTuple):
    """A record that was read from a segment."""

    type: int
    content: bytes
    end: int
    """The offset of the first byte after the record."""
    link: int
    durable: int
    """The offset before which everything was synced when the record was written."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Describes why a record cannot be read.

    `found` describes the data that was found, and `expected` the data that was expected. `torn` is
    True if a lost sector explains the difference.
    """

    found: str
    expected: str
    torn: bool


def record_bytes(body_bytes: int) -> int:
    """Return the size of a record on the disk, including END_MARK and padding."""
    return -(-(HEADER.size + body_bytes + 1) // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def encode_record(
    kind: RecordType, content: bytes, *, link: int, durable: int
) -> tuple[bytes, int]:
    """Return the bytes of a new record, and its link. `link` is the link of the previous record."""
    body = kind.to_bytes(1, "little") + content
    length = len(body)
    assert length <= BODY_BYTES_MAX, f"{length} bytes in a record; at most {BODY_BYTES_MAX} allowed"
    checked = _CHECKED.pack(length, durable)
    linked = checked + body_crc(checked, body).to_bytes(4, "little")
    own_link = next_link(link, linked)
    padding = _PADDINGS[-(HEADER.size + length + 1) % ALIGNMENT_BYTES]
    return b"".join((linked, own_link.to_bytes(4, "little"), body, padding)), own_link


def body_crc(checked: bytes, body: bytes) -> int:
    """Return the CRC of a body and of `checked`, the header fields length and durable."""
    crc: int = google_crc32c.extend(google_crc32c.value(checked), body)
    return crc


def next_link(link: int, linked: bytes) -> int:
    """Return the link of a record.

    `link` is the link of the previous record, and `linked` are the header fields of this record
    before its link.
    """
    crc: int = google_crc32c.extend(link, linked)
    return crc


def crc_matches(found: int, computed: int) -> bool:
    return found == computed


def read_record(data: bytes, at: int, *, link: int, file_bytes: int) -> Record | Damage | None:
    """Return the record at offset `at`, or its damage, or None if there are no more records.

    `data` is the content of the segment without the zeros at its end. `file_bytes` is the size of
    the segment with these zeros.
    """
    if at >= len(data):
        return None
    header = data[at : at + HEADER.size]
    if not any(header):
        return _lost_header(data, at)
    if len(header) < HEADER.size:
        return Damage("a header cut short", "16 bytes", torn=True)
    length, durable, crc, own_link = HEADER.unpack(header)
    computed = next_link(link, header[:_LINKED_BYTES])
    if not crc_matches(own_link, computed):
        torn = len(data) <= at + HEADER.size
        return Damage(f"a header with link {own_link:#010x}", f"{computed:#010x}", torn=torn)
    begin = at + HEADER.size
    end = at + record_bytes(length)
    # The zeros that were removed at the end of `data` can be part of the body.
    body = data[begin : begin + length].ljust(min(length, max(file_bytes - begin, 0)), b"\0")
    computed = body_crc(header[:8], body)
    if len(body) == length and crc_matches(crc, computed):
        return Record(body[0], body[1:], end, own_link, durable)
    torn = end > len(data) or has_zero_sector(data, at, end)
    return Damage(
        f"a body of {len(body)} bytes with CRC32C {computed:#010x}",
        f"{length} bytes with {crc:#010x}",
        torn=torn,
    )


def _lost_header(data: bytes, at: int) -> Damage:
    sector_end = (at // SECTOR_BYTES + 1) * SECTOR_BYTES
    torn = not any(data[at:sector_end])
    return Damage("a header of zeros with other data after it", "a record", torn=torn)


def has_zero_sector(data: bytes, begin: int, end: int) -> bool:
    """Return whether a sector's part of the range [`begin`, `end`) consists of zeros.

    Only the part of each sector that is inside the range is checked.
    """
    at = begin
    while at < end:
        sector_end = min((at // SECTOR_BYTES + 1) * SECTOR_BYTES, end)
        if not any(data[at:sector_end]):
            return True
        at = sector_end
    return False
