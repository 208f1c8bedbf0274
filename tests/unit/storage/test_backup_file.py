"""The backup that a client saves is complete and unchanged, or it is refused."""

from __future__ import annotations

import asyncio
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.node.storage.backup_file import (
    BackupCorrupt,
    blocks,
    decode_backup,
    encode_backup,
)
from splitbrain.node.storage.memory_backend import MemoryBackend


def copy_of(pairs: dict[bytes, bytes]) -> bytes:
    backend = MemoryBackend()
    for key, value in pairs.items():
        backend.put(b"key", key, value)
    return asyncio.run(backend.snapshot())


@given(st.dictionaries(st.binary(min_size=1, max_size=3), st.binary(max_size=300), max_size=5))
def test_a_backup_contains_the_copy_and_its_hash_as_etcdctl_expects(
    pairs: dict[bytes, bytes],
) -> None:
    copy = copy_of(pairs)
    backup = encode_backup(copy)
    assert decode_backup(backup) == copy
    assert len(backup) % 512 == 32
    assert backup[-32:] == hashlib.sha256(backup[:-32]).digest()


@given(st.integers(0), st.integers(1, 255))
def test_a_damaged_or_incomplete_backup_is_refused(at: int, change: int) -> None:
    backup = encode_backup(copy_of({b"a": b"1"}))
    damaged = bytearray(backup)
    damaged[at % len(backup)] ^= change
    with pytest.raises(BackupCorrupt):
        decode_backup(bytes(damaged))
    with pytest.raises(BackupCorrupt):
        decode_backup(backup[: at % len(backup)])


def test_the_blocks_of_a_backup_count_the_bytes_that_remain() -> None:
    backup = encode_backup(copy_of({b"a": bytes(1000)}))
    found = list(blocks(backup, 500))
    assert b"".join(part for part, _ in found) == backup
    remaining = len(backup) - 32
    for part, rest in found[:-1]:
        remaining -= len(part)
        assert rest == remaining
    assert (len(found[-1][0]), found[-1][1]) == (32, 0)
