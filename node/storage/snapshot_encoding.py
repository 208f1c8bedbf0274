"""Encodes the whole content of a backend as bytes, with a checksum that reveals damage.

A copy is a sequence of records between a magic number and a checksum. The numbers in parentheses
are sizes in bytes. Integers are unsigned and little-endian.

    copy:           magic (8) | bucket record and its pair records … | end record | checksum (4)
    bucket record:  1 (1) | length of the name (2) | name
    pair record:    2 (1) | length of the key (4) | length of the value (4) | key | value
    end record:     3 (1) | number of pairs in the copy (8)

The first byte of a record is its type: 1, 2 or 3. A bucket record is followed by the pair records
of this bucket, in key order. The checksum is the CRC32C of all bytes before it. Two backends with
the same content have equal copies, even if one is an LMDB backend and the other is in memory.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

import google_crc32c

MAGIC = b"SBCOPY\x00\x01"
_BUCKET = struct.Struct("<BH")
_PAIR = struct.Struct("<BII")
_END = struct.Struct("<BQ")
_CRC = struct.Struct("<I")
Content = Iterable[tuple[bytes, Iterable[tuple[bytes, bytes]]]]


class CopyCorrupt(Exception):
    """The bytes are not a complete copy of a backend. The leader must send another snapshot."""


def encode_copy(content: Content) -> bytes:
    """Encode `content` as a copy. It contains each bucket with its pairs in key order."""
    copy = bytearray(MAGIC)
    pairs = 0
    for bucket, bucket_pairs in content:
        copy += _BUCKET.pack(1, len(bucket)) + bucket
        for key, value in bucket_pairs:
            copy += _PAIR.pack(2, len(key), len(value))
            copy += key
            copy += value
            pairs += 1
    copy += _END.pack(3, pairs)
    copy += _CRC.pack(google_crc32c.extend(0, bytes(copy)))
    return bytes(copy)


def check_copy(copy: bytes) -> None:
    """Raise CopyCorrupt if the magic number or the checksum is wrong."""
    if len(copy) < len(MAGIC) + _END.size + _CRC.size or not copy.startswith(MAGIC):
        raise CopyCorrupt(
            f"{len(copy)} bytes that begin with {copy[:8]!r} are not a copy of a backend; "
            f"expected {MAGIC!r} at the beginning"
        )
    (expected,) = _CRC.unpack(copy[-_CRC.size :])
    found = google_crc32c.extend(0, copy[: -_CRC.size])
    if found != expected:
        raise CopyCorrupt(
            f"a copy of a backend of {len(copy)} bytes has CRC32C {found:#010x}, "
            f"expected {expected:#010x}"
        )


def decode_copy(copy: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield the (bucket, key, value) triples of a copy, in order. Call `check_copy` first."""
    at = len(MAGIC)
    bucket: bytes | None = None
    pairs = 0
    while copy[at] != 3:
        if copy[at] == 1:
            _, length = _BUCKET.unpack_from(copy, at)
            at += _BUCKET.size
            bucket = copy[at : at + length]
            at += length
        else:
            assert bucket is not None, "the copy has a pair before the first bucket"
            _, key_length, value_length = _PAIR.unpack_from(copy, at)
            at += _PAIR.size
            value_at = at + key_length
            yield bucket, copy[at:value_at], copy[value_at : value_at + value_length]
            at = value_at + value_length
            pairs += 1
    assert pairs == _END.unpack_from(copy, at)[1], "the end record contains another number of pairs"
