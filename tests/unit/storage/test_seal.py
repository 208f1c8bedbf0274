"""With a seal, a log that lost acknowledged records is refused, and a torn write is repaired."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.node.raft.message import Entry, HardState, SnapshotMetadata
from splitbrain.node.storage.durable_end import SLOT_BYTES, Seal, SealFile
from splitbrain.node.storage.wal import Wal, WalMetadata, snapshot_marks
from splitbrain.node.storage.wal_segment_reader import WalCorrupt, list_segments
from splitbrain.node.world import DiskError
from tests.unit.storage.memory_disk import MemoryDisk
from tests.unit.storage.test_wal import Model, Save, saves

METADATA = WalMetadata(cluster_id=7, member_id=9)
SEGMENT_BYTES = 4096


def entry(index: int, data: bytes = b"", term: int = 1) -> Entry:
    return Entry(term, index, data=data)


def seal_of(disk: MemoryDisk) -> Seal | None:
    return SealFile(disk, "seal").read()


def promises(disk: MemoryDisk) -> tuple[HardState, int, int]:
    sealed = seal_of(disk)
    assert sealed is not None
    return sealed.hard_state, sealed.last_term, sealed.last_index


async def open_log(disk: MemoryDisk, *, sealed: bool = True) -> tuple[HardState, list[Entry]]:
    seal = SealFile(disk, "seal") if sealed else None
    wal, _, hard_state, entries = await Wal.open(
        disk, "wal", segment_bytes=SEGMENT_BYTES, seal=seal
    )
    wal.close()
    return hard_state, entries


async def new_log(disk: MemoryDisk) -> Wal:
    return await Wal.create(
        disk, "wal", METADATA, segment_bytes=SEGMENT_BYTES, seal=SealFile(disk, "seal")
    )


async def batches(count: int, size: int = 600) -> tuple[MemoryDisk, list[int]]:
    """A log of `count` synced batches in one segment, and the offset of the end of each."""
    disk, ends = MemoryDisk(), []
    wal = await new_log(disk)
    for index in range(1, count + 1):
        await wal.save(HardState(1, 2, index - 1), [entry(index, b"x" * size)], sync=True)
        ends.append(len(disk.read(segment(disk)).rstrip(b"\0")))
    return disk, ends


def segment(disk: MemoryDisk) -> str:
    return f"wal/{list_segments(disk, 'wal')[-1]}"


async def saved(disk: MemoryDisk, all_saves: list[Save]) -> list[Model]:
    """The states that a power loss may leave after `all_saves`."""
    wal = await new_log(disk)
    model = Model()
    possible = [model.copy()]
    for hard_state, back, datas, sync in all_saves:
        first = max(1, len(model.entries) + 1 - back)
        entries = [entry(first + at, data) for at, data in enumerate(datas)]
        wal.append(hard_state, entries)
        for at in range(len(entries)):
            model.save(None, entries[at : at + 1])
            possible.append(model.copy())
        model.save(hard_state, [])
        possible.append(model.copy())
        if sync:
            await wal.sync()
            possible = [model.copy()]
    return possible


@settings(max_examples=100, deadline=None)
@given(st.lists(saves, max_size=12), st.integers(0, 2**32))
def test_a_power_loss_on_an_honest_disk_is_never_taken_for_a_loss(
    all_saves: list[Save], seed: int
) -> None:
    disk = MemoryDisk()
    possible = asyncio.run(saved(disk, all_saves))
    generator = random.Random(seed)
    disk = disk.power_loss(lambda: generator.random() < 0.6)
    assert Model(*asyncio.run(open_log(disk))) in possible


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.data())
def test_a_log_that_lost_synced_sectors_is_refused(count: int, data: st.DataObject) -> None:
    disk, ends = asyncio.run(batches(count))
    complete = asyncio.run(open_log(disk.copy()))
    sectors = st.integers(0, ends[-1] // 512)
    for sector in data.draw(st.sets(sectors, min_size=1, max_size=3)):
        cached = disk.names[segment(disk)].cached
        cached[sector * 512 : (sector + 1) * 512] = bytes(512)
    changed = disk.read(segment(disk))[: ends[-1]].rstrip(b"\0")
    try:
        assert asyncio.run(open_log(disk)) == complete
        assert len(changed) == ends[-1], "the loss was not noticed"
    except WalCorrupt:
        return


def test_the_loss_of_the_last_batch_is_noticed_only_with_a_seal() -> None:
    async def scenario() -> None:
        disk, ends = await batches(3)
        cached = disk.names[segment(disk)].cached
        cached[ends[1] :] = bytes(len(cached) - ends[1])
        _, found = await open_log(disk.copy(), sealed=False)
        assert [one.index for one in found] == [1, 2]
        with pytest.raises(WalCorrupt, match="expected more, up to offset"):
            await open_log(disk)

    asyncio.run(scenario())


def test_the_loss_of_a_whole_segment_is_noticed() -> None:
    async def scenario() -> None:
        disk, _ = await batches(12)
        names = list_segments(disk, "wal")
        assert len(names) > 1
        disk.remove(f"wal/{names[-1]}")
        with pytest.raises(WalCorrupt, match="which the seal names"):
            await open_log(disk)

    asyncio.run(scenario())


def test_the_seal_contains_the_vote_and_the_last_entry() -> None:
    async def scenario() -> None:
        disk = MemoryDisk()
        wal = await new_log(disk)
        await wal.save(HardState(3, 2, 1), [entry(1), entry(2, term=3)], sync=True)
        assert promises(disk) == (HardState(3, 2, 1), 3, 2)
        wal.append(HardState(4, 1, 1), [entry(3, term=4)])
        assert promises(disk) == (HardState(3, 2, 1), 3, 2)
        await wal.sync()
        assert promises(disk) == (HardState(4, 1, 1), 4, 3)
        await wal.save_snapshot_mark(SnapshotMetadata(9, 4))
        assert promises(disk) == (HardState(4, 1, 1), 4, 9)

    asyncio.run(scenario())


@pytest.mark.parametrize("unsynced_bytes", [10, 300, 700])
def test_damage_after_the_sealed_end_is_cut_off_even_inside_a_sector(unsynced_bytes: int) -> None:
    async def scenario() -> None:
        disk = MemoryDisk()
        wal = await new_log(disk)
        await wal.save(HardState(1, 2, 0), [entry(1, b"a" * 300)], sync=True)
        end = len(disk.read(segment(disk)).rstrip(b"\0"))
        wal.append(None, [entry(2, b"b" * unsynced_bytes)])
        disk.names[segment(disk)].cached[end + 20] ^= 1
        with pytest.raises(WalCorrupt):
            await open_log(disk.copy(), sealed=False)
        _, found = await open_log(disk)
        assert [one.index for one in found] == [1]

    asyncio.run(scenario())


def test_a_torn_write_of_a_slot_leaves_the_other_slot() -> None:
    disk, _ = asyncio.run(batches(3))
    content = disk.read("seal")
    for at in range(2 * SLOT_BYTES):
        if not content[at]:
            continue
        damaged = disk.copy()
        damaged.names["seal"].cached[at] ^= 0x10
        sealed = seal_of(damaged)
        assert sealed is not None
        assert sealed.last_index in (2, 3), f"byte {at}"


def test_without_a_readable_seal_the_log_is_read_as_if_it_had_none() -> None:
    async def scenario() -> None:
        disk, _ = await batches(2)
        disk.names["seal"].cached[:] = bytes(2 * SLOT_BYTES)
        assert seal_of(disk) is None
        _, found = await open_log(disk)
        assert [one.index for one in found] == [1, 2]
        assert (sealed := seal_of(disk)) is not None
        assert sealed.last_index == 2

    asyncio.run(scenario())


def test_an_older_seal_is_no_reason_to_refuse_a_longer_log() -> None:
    async def scenario() -> None:
        disk, _ = await batches(2)
        older = bytes(disk.names["seal"].cached)
        wal, *_ = await Wal.open(
            disk, "wal", segment_bytes=SEGMENT_BYTES, seal=SealFile(disk, "seal")
        )
        for index in range(3, 20):
            await wal.save(HardState(1, 2, index), [entry(index, b"y" * 900)], sync=True)
        assert len(list_segments(disk, "wal")) > 2
        disk.names["seal"].cached[:] = older
        _, found = await open_log(disk)
        assert len(found) == 19

    asyncio.run(scenario())


def test_a_failed_write_of_the_seal_fails_the_sync() -> None:
    async def scenario() -> None:
        disk = MemoryDisk()
        wal = await new_log(disk)
        disk.names["seal"].fail_sync = True
        with pytest.raises(DiskError):
            await wal.save(None, [entry(1)], sync=True)
        with pytest.raises(DiskError, match="an earlier write failed"):
            await wal.save(None, [entry(2)], sync=True)

    asyncio.run(scenario())


def test_snapshot_marks_are_not_read_from_a_log_that_lost_records() -> None:
    async def scenario() -> None:
        disk, ends = await batches(3)
        cached = disk.names[segment(disk)].cached
        cached[ends[1] :] = bytes(len(cached) - ends[1])
        with pytest.raises(WalCorrupt):
            snapshot_marks(disk, "wal", seal_of(disk))

    asyncio.run(scenario())
