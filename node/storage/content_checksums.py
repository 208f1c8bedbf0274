"""Checks that the file of a backend still contains what was written to it.

LMDB itself has no checksums. Therefore each value is stored with a CRC32C, which covers the value,
its key and its bucket. Every read checks this CRC. A *content digest* reveals damage that no CRC
reveals: a pair that is missing, or older than the rest. The digest contains the number of all pairs
and the sum of their CRCs. Each commit changes the digest together with the pairs.
`ContentDigest.check` compares the digest with the content when the member starts.

These checks do not notice that the whole file is in an older state. In this case, the member
applies the log entries whose effects the file lacks. If the log no longer contains these entries,
the newest snapshot is ahead of the file, and `splitbrain.node.member_storage` treats the data as
damaged.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Iterable

import google_crc32c

from splitbrain.node.world import DiskError

CRC_BYTES = 4
_DIGEST = struct.Struct("<QQ")


class BackendDamaged(DiskError):
    """The content of the backend's file is not the content that was written to it."""


def with_crc(bucket: bytes, key: bytes, value: bytes) -> bytes:
    """Return the bytes that are stored for `value` under `key`: the value and its CRC."""
    return value + _crc(bucket, key, value).to_bytes(CRC_BYTES, "little")


def value_of(bucket: bytes, key: bytes, stored: bytes) -> bytes:
    """Return the value in the bytes that are stored under `key`.

    Raises BackendDamaged if the CRC is wrong.
    """
    value = stored[:-CRC_BYTES]
    if _crc(bucket, key, value) != pair_crc(stored):
        raise BackendDamaged(
            f"the backend's file is damaged: the value of {bucket.decode()}/{key.hex()} has CRC32C "
            f"{_crc(bucket, key, value):#010x}, expected {pair_crc(stored):#010x}"
        )
    return value


def missing(bucket: bytes, key: bytes) -> BackendDamaged:
    """Return the error for a pair that must exist but is missing in the file."""
    return BackendDamaged(f"the backend's file is damaged: it lacks {bucket.decode()}/{key.hex()}")


def pair_crc(stored: bytes) -> int:
    """Return the CRC in the bytes that are stored for a pair."""
    return int.from_bytes(stored[-CRC_BYTES:], "little")


def _crc(bucket: bytes, key: bytes, value: bytes) -> int:
    crc: int = google_crc32c.extend(_bucket_crc(bucket), key + value)
    return crc


_bucket_crc: Callable[[bytes], int] = functools.lru_cache(maxsize=64)(google_crc32c.value)
"""Returns the CRC of a bucket's name. There are few buckets."""


class ContentDigest:
    """The number of all pairs in a backend, and the sum of their CRCs."""

    __slots__ = ("pairs", "total")

    def __init__(self, pairs: int = 0, total: int = 0) -> None:
        self.pairs = pairs
        self.total = total

    def copy(self) -> ContentDigest:
        return ContentDigest(self.pairs, self.total)

    def replace(self, old: bytes | None, new: bytes | None) -> None:
        """Update the digest after a change of one key from the stored value `old` to `new`.

        None means that the key has no value.
        """
        if old is not None:
            self.pairs -= 1
            self.total -= pair_crc(old)
        if new is not None:
            self.pairs += 1
            self.total += pair_crc(new)

    def check(self, pairs: Iterable[tuple[bytes, bytes, bytes]]) -> None:
        """Compare the digest with all pairs of the backend: bucket, key and stored value.

        Raises BackendDamaged if a CRC is wrong, or if a pair is missing, superfluous or outdated.
        """
        found = ContentDigest()
        for bucket, key, stored in pairs:
            value_of(bucket, key, stored)
            found.replace(None, stored)
        if (found.pairs, found.total) != (self.pairs, self.total):
            raise BackendDamaged(
                f"the backend's file is damaged: it contains {found.pairs} pairs with digest "
                f"{found.total:#x}, expected {self.pairs} pairs with {self.total:#x}"
            )

    def encode(self) -> bytes:
        """Return the digest as the bytes that a commit stores."""
        content = _DIGEST.pack(self.pairs, self.total)
        crc: int = google_crc32c.value(content)
        return content + crc.to_bytes(CRC_BYTES, "little")


def decode_digest(stored: bytes | None) -> ContentDigest:
    """Decode the bytes of a digest that a commit has stored.

    If `stored` is None, the result is the digest of an empty backend. Raises BackendDamaged if
    `stored` is damaged.
    """
    if stored is None:
        return ContentDigest()
    content = stored[:-CRC_BYTES]
    if len(content) != _DIGEST.size or google_crc32c.value(content) != pair_crc(stored):
        raise BackendDamaged(
            f"the backend's file is damaged: {stored[:40].hex()} is not a content digest"
        )
    return ContentDigest(*_DIGEST.unpack(content))
