"""Hashes by which members are compared.

`hash_changes` is over the changes that a reader could still see, so that members with
the same history and the same compacted revision agree, however far each has come with
removing what was compacted.

Source: etcd's server/storage/mvcc/hash.go, for what is hashed; the hashes themselves
are not etcd's, for values are encoded otherwise.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

import google_crc32c
import msgspec

from splitbrain.node.mvcc.revision import Packed, packed_from

_PAIRS_AT_ONCE = 1024


class HashResult(msgspec.Struct, frozen=True):
    """`hash` is over all changes up to `hash_revision` that are not compacted away;
    `compact_revision` is -1 before the first compaction."""

    hash: int
    compact_revision: int
    hash_revision: int


def hash_pairs(start: int, pairs: Iterable[tuple[bytes, bytes]]) -> int:
    """CRC32C over keys and values, continuing `start`."""
    crc = start
    gathered: list[bytes] = []
    for key, value in pairs:
        gathered += (len(key).to_bytes(4, "big"), key, len(value).to_bytes(4, "big"), value)
        if len(gathered) >= 4 * _PAIRS_AT_ONCE:
            crc = google_crc32c.extend(crc, b"".join(gathered))
            gathered.clear()
    return int(google_crc32c.extend(crc, b"".join(gathered)))


def hash_changes(pairs: Iterable[tuple[bytes, bytes]], forgotten: Container[Packed]) -> int:
    """Over the backend's changes, but for those compacted and not removed yet."""
    seen = (pair for pair in pairs if not is_forgotten(pair[0], forgotten))
    return hash_pairs(google_crc32c.value(b"key"), seen)


def is_forgotten(key: bytes, forgotten: Container[Packed]) -> bool:
    return packed_from(key) in forgotten
