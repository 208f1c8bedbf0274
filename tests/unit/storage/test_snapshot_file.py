"""A member starts from the newest snapshot that is undamaged and has a mark in the WAL."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.node.raft.message import ConfState, Snapshot, SnapshotMetadata
from splitbrain.node.storage.snapshot_file import (
    SnapshotCorrupt,
    SnapshotFiles,
    decode_snapshot,
    encode_snapshot,
    snapshot_name,
)
from tests.unit.storage.memory_disk import MemoryDisk


def snapshot(index: int, term: int = 1, data: bytes = b"") -> Snapshot:
    return Snapshot(SnapshotMetadata(index, term, ConfState((1, 2, 3))), data)


def saved(*snapshots: Snapshot) -> tuple[MemoryDisk, SnapshotFiles]:
    disk = MemoryDisk()
    files = SnapshotFiles(disk, "snap")

    async def save_all() -> None:
        for one in snapshots:
            await files.save(one)

    asyncio.run(save_all())
    after = disk.power_loss(lambda: False)
    return after, SnapshotFiles(after, "snap")


def test_the_newest_marked_snapshot_is_loaded_with_its_data() -> None:
    older, newer, unmarked = snapshot(10), snapshot(20, 2, b"state"), snapshot(30, 2)
    _, files = saved(older, newer, unmarked)
    assert files.load_newest([older.metadata, newer.metadata]) == newer
    assert files.load_newest([older.metadata]) == older
    assert files.load_newest([SnapshotMetadata()]) is None


def test_a_damaged_snapshot_is_renamed_and_an_older_one_is_loaded() -> None:
    older, newer = snapshot(10), snapshot(20, 2, b"state")
    disk, files = saved(older, newer)
    path = f"snap/{snapshot_name(newer.metadata)}"
    disk.names[path].cached[-1] ^= 1
    assert files.metadata_kept() == [older.metadata]
    assert files.load_newest([older.metadata, newer.metadata]) == older
    assert disk.exists(path + ".broken")


def test_the_newest_five_are_kept() -> None:
    async def scenario() -> None:
        disk = MemoryDisk()
        files = SnapshotFiles(disk, "snap")
        for index in range(1, 9):
            await files.save(snapshot(index))
        newest = snapshot(8).metadata
        assert len(await files.remove_old(newest, 5)) == 3
        assert [kept.index for kept in files.metadata_kept()] == [4, 5, 6, 7, 8]
        assert await files.remove_old(newest, 5) == []

    asyncio.run(scenario())


def test_a_file_left_from_a_later_snapshot_does_not_displace_the_one_just_saved() -> None:
    async def scenario() -> None:
        files = SnapshotFiles(MemoryDisk(), "snap")
        for one in (snapshot(10), snapshot(100, 5, b"never installed"), snapshot(60, 5)):
            await files.save(one)
        saved = snapshot(60, 5).metadata
        assert await files.remove_old(saved, 1) == [snapshot_name(snapshot(10).metadata)]
        assert saved in files.metadata_kept()

    asyncio.run(scenario())


@given(st.integers(0, 2**63), st.integers(0, 2**63), st.binary(max_size=50), st.data())
def test_any_flipped_bit_is_detected(
    index: int, term: int, data: bytes, choices: st.DataObject
) -> None:
    encoded = bytearray(encode_snapshot(snapshot(index, term, data)))
    assert decode_snapshot(bytes(encoded)) == snapshot(index, term, data)
    encoded[choices.draw(st.integers(0, len(encoded) - 1))] ^= 1 << choices.draw(st.integers(0, 7))
    with pytest.raises(SnapshotCorrupt):
        decode_snapshot(bytes(encoded))
