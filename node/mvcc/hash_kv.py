"""Computes the hashes by which members compare their data.

`hash_changes` covers the changes that are not compacted. Members with the same history and the same
compacted revision therefore have the same hash. It does not matter how many compacted changes each
member has already removed from its backend.

Source: etcd's server/storage/mvcc/hash.go for the choice of the hashed changes. The hash values
differ from etcd's, because the encoding of the values differs.
"""

from __future__ import annotations

from collections.abc import Iterable

import google_crc32c
import msgspec

_PAIRS_AT_ONCE = 1024


class HashResult(msgspec.Struct, frozen=True):
    """A hash of the store's changes.

    It covers all changes up to `hash_revision` that are not compacted. `compact_revision` is -1
    before the first compaction.
    """

    hash: int
    compact_revision: int
    hash_revision: int


def hash_pairs(start: int, pairs: Iterable[tuple[bytes, bytes]]) -> int:
    """Continue the CRC32C `start` over keys and values, and return the result."""
    crc = start
    batch: list[bytes] = []
    for key, value in pairs:
        batch += (len(key).to_bytes(4, "big"), key, len(value).to_bytes(4, "big"), value)
        if len(batch) >= 4 * _PAIRS_AT_ONCE:
            crc = google_crc32c.extend(crc, b"".join(batch))
            batch.clear()
    return int(google_crc32c.extend(crc, b"".join(batch)))


def hash_changes(pairs: Iterable[tuple[bytes, bytes]]) -> int:
    """Return the CRC32C of changes.

    `pairs` contains the backend's keys and values of all changes that are not compacted, in order.
    """
    return hash_pairs(google_crc32c.value(b"key"), pairs)
