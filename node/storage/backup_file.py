"""Encodes the backup that a client downloads from the Maintenance service and that `restore` reads.

The numbers in parentheses are sizes in bytes.

    file:  magic (8) | length of the copy (8, little-endian) | copy | zeros | SHA-256 (32)

The copy is the whole content of a backend (`splitbrain.node.storage.snapshot_encoding`). The zeros
make the length of everything before the hash a multiple of 512, because etcdctl accepts only such
files. The hash covers everything before it.

Source: etcd's snapshot, which is a bbolt file followed by its SHA-256.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator

from splitbrain.node.storage.snapshot_encoding import CopyCorrupt, check_copy

MAGIC = b"SBBACK\x00\x01"
_LENGTH = struct.Struct("<Q")
_HEAD_BYTES = len(MAGIC) + _LENGTH.size
_ALIGNED_BYTES = 512
_HASH_BYTES = 32


class BackupCorrupt(Exception):
    """The bytes are not a complete backup."""


def encode_backup(copy: bytes) -> bytes:
    """Return the backup that contains `copy`, a copy of a backend."""
    content = MAGIC + _LENGTH.pack(len(copy)) + copy
    content += bytes(-len(content) % _ALIGNED_BYTES)
    return content + hashlib.sha256(content).digest()


def decode_backup(backup: bytes) -> bytes:
    """Return the copy of a backend that a backup contains. Raises BackupCorrupt."""
    if len(backup) < _HEAD_BYTES + _HASH_BYTES or not backup.startswith(MAGIC):
        raise BackupCorrupt(
            f"{len(backup)} bytes that begin with {backup[:8]!r} are not a backup of this store; "
            f"expected {MAGIC!r} at the beginning"
        )
    content, expected = backup[:-_HASH_BYTES], backup[-_HASH_BYTES:]
    found = hashlib.sha256(content).digest()
    if found != expected:
        raise BackupCorrupt(
            f"the backup has the SHA-256 {found.hex()}, expected {expected.hex()}: it is damaged "
            "or incomplete"
        )
    (length,) = _LENGTH.unpack_from(content, len(MAGIC))
    copy = content[_HEAD_BYTES : _HEAD_BYTES + length]
    try:
        check_copy(copy)
    except CopyCorrupt as problem:
        raise BackupCorrupt(str(problem)) from problem
    return copy


def blocks(backup: bytes, block_bytes: int) -> Iterator[tuple[bytes, int]]:
    """Yield the blocks of a backup, each with the number of bytes that remain after it.

    A block has at most `block_bytes`. As in etcd, the hash is a separate block.
    """
    end = len(backup) - _HASH_BYTES
    for start in range(0, end, block_bytes):
        stop = min(start + block_bytes, end)
        yield backup[start:stop], end - stop
    yield backup[end:], 0
