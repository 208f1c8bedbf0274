"""Zeros at the end of files take no space, and the files read as before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from splitbrain.harness.store.zero_tails import CHUNK_BYTES, free_zero_tails

MIB = 1 << 20


@pytest.mark.parametrize("content", [b"", b"a record", b"x" * (CHUNK_BYTES + 5), b"\0\0a\0"])
def test_a_preallocated_file_keeps_its_content_and_loses_its_blocks(
    tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "0.wal"
    file.write_bytes(content.ljust(16 * MIB, b"\0"))
    before = file.read_bytes()
    assert free_zero_tails(tmp_path) >= 12 * MIB
    assert file.read_bytes() == before
    assert file.stat().st_blocks * 512 < 4 * MIB


def test_a_file_without_a_tail_of_zeros_and_a_small_one_are_left_alone(tmp_path: Path) -> None:
    full, small, link = tmp_path / "full", tmp_path / "small", tmp_path / "link"
    full.write_bytes(os.urandom(2 * MIB) + b"\1")
    small.write_bytes(b"a" + bytes(1000))
    link.symlink_to(full)
    blocks = full.stat().st_blocks
    assert free_zero_tails(tmp_path) == 0
    assert full.stat().st_blocks == blocks
    assert len(small.read_bytes()) == 1001
