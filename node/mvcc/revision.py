"""Defines revisions, the store's logical clock, and the keys of changes in the backend.

A revision is a pair (main, sub). `main` increases by one with each transaction that makes at least
one change. `sub` numbers the changes of the transaction from 0. In memory, a change is represented
by one packed integer, so that changes sort by revision:

    main (39 bits) | sub (24 bits) | tombstone (1 bit)

In the backend's bucket `key`, a change has a key of 17 bytes, as in etcd: main (8 bytes,
big-endian), "_", and sub (8 bytes, big-endian). The key of a tombstone has an additional "t" at the
end.

Source: etcd's server/storage/mvcc/revision.go.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

SUB_BITS = 24
MAIN_SHIFT = SUB_BITS + 1
MAIN_MAX = (1 << (64 - MAIN_SHIFT)) - 1
SUB_MAX = (1 << SUB_BITS) - 1
TOMBSTONE_MARK = b"t"
KEY_BYTES = 17
_KEY = struct.Struct(">QcQ")
_pack_key = _KEY.pack

Packed = int
"""A change as one integer that fits into 64 unsigned bits: its revision, and whether it deletes."""


class Revision(NamedTuple):
    """The revision of one change: `main` of its transaction, and its number `sub` in it."""

    main: int
    sub: int = 0


class RevisionError(Exception):
    """A read at revision `asked` is impossible. `bound` is the revision that limits `asked`."""

    def __init__(self, message: str, asked: int, bound: int) -> None:
        super().__init__(message)
        self.asked = asked
        self.bound = bound


class CompactedRevision(RevisionError):
    """The requested revision is before the compacted revision."""

    def __init__(self, asked: int, compacted: int) -> None:
        super().__init__(
            f"revision {asked} was requested, but revisions before {compacted} are compacted; "
            f"request a later revision, or 0 for the newest",
            asked,
            compacted,
        )


class FutureRevision(RevisionError):
    """The requested revision is greater than the store's revision."""

    def __init__(self, asked: int, current: int) -> None:
        super().__init__(
            f"revision {asked} was requested, but the store is at revision {current}; "
            f"request that or an earlier revision, or 0 for the newest",
            asked,
            current,
        )


def pack(main: int, sub: int = 0, *, tombstone: bool = False) -> Packed:
    """Return the change at revision (`main`, `sub`) as one integer. A tombstone is a deletion."""
    assert 0 <= main <= MAIN_MAX, f"revision {main}; {MAIN_MAX} at most"
    assert 0 <= sub <= SUB_MAX, f"{sub} changes in one transaction; {SUB_MAX} at most"
    return main << MAIN_SHIFT | sub << 1 | tombstone


def main_of(packed: Packed) -> int:
    """Return the main revision of a change: that of the transaction that made it."""
    return packed >> MAIN_SHIFT


def revision_of(packed: Packed) -> Revision:
    return Revision(packed >> MAIN_SHIFT, packed >> 1 & SUB_MAX)


def is_tombstone(packed: Packed) -> bool:
    """Return whether a change is a deletion."""
    return packed & 1 == 1


def backend_key(packed: Packed) -> bytes:
    """Return the key of a change in the backend."""
    key = _pack_key(packed >> MAIN_SHIFT, b"_", packed >> 1 & SUB_MAX)
    return key + TOMBSTONE_MARK if packed & 1 else key


def packed_from(key: bytes) -> Packed:
    """Return the packed change that is stored under `key` in the backend."""
    main, _, sub = _KEY.unpack_from(key)
    return pack(main, sub, tombstone=len(key) > KEY_BYTES)
