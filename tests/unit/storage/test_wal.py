"""The WAL returns all that was synced, truncates a torn tail, and refuses other corruption."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.node.raft.message import Entry, HardState, SnapshotMetadata
from splitbrain.node.storage.wal import Wal, WalMetadata, snapshot_marks, wal_exists
from splitbrain.node.storage.wal_segment_reader import (
    SegmentName,
    WalCorrupt,
    list_segments,
    parse_segment_name,
)
from splitbrain.node.world import DiskError
from tests.unit.storage.memory_disk import MemoryDisk

METADATA = WalMetadata(cluster_id=7, member_id=9, version="3.5")
SMALL = 2048
FROM_THE_BEGINNING = SnapshotMetadata()


def entry(index: int, term: int = 1, data: bytes = b"") -> Entry:
    return Entry(term, index, data=data)


async def new_wal(disk: MemoryDisk, segment_bytes: int = SMALL) -> Wal:
    return await Wal.create(disk, "wal", METADATA, segment_bytes=segment_bytes)


def reopened(
    disk: MemoryDisk, after: SnapshotMetadata = FROM_THE_BEGINNING
) -> tuple[HardState, list[Entry]]:
    async def scenario() -> tuple[HardState, list[Entry]]:
        wal, metadata, hard_state, entries = await Wal.open(disk, "wal", after, segment_bytes=SMALL)
        assert metadata == METADATA
        wal.close()
        return hard_state, entries

    return asyncio.run(scenario())


def last_path(disk: MemoryDisk) -> str:
    return f"wal/{list_segments(disk, 'wal')[-1]}"


def used_bytes(disk: MemoryDisk, path: str) -> int:
    return len(disk.read(path).rstrip(b"\0"))


@dataclass
class Model:
    """A model of a log: a hard state, and a list of entries that later entries override."""

    hard_state: HardState = field(default_factory=HardState)
    entries: list[Entry] = field(default_factory=list)

    def save(self, hard_state: HardState | None, entries: list[Entry]) -> None:
        if entries:
            del self.entries[entries[0].index - 1 :]
            self.entries += entries
        self.hard_state = hard_state or self.hard_state

    def copy(self) -> Model:
        return Model(self.hard_state, list(self.entries))


Save = tuple[HardState | None, int, list[bytes], bool]

saves = st.tuples(
    st.none() | st.builds(HardState, st.integers(1, 9), st.integers(0, 3), st.integers(0, 9)),
    st.integers(0, 3),  # the number of old entries that the new ones override
    st.lists(st.binary(max_size=700), max_size=4),
    st.booleans(),  # sync
)


async def save_all(disk: MemoryDisk, all_saves: list[Save]) -> list[Model]:
    """Save to a new log. Return the last synced state and each later one: a crash may keep any."""
    wal = await new_wal(disk)
    model = Model()
    possible = [model.copy()]
    for hard_state, back, datas, sync in all_saves:
        first = max(1, len(model.entries) + 1 - back)
        entries = [entry(first + at, data=data) for at, data in enumerate(datas)]
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


@settings(max_examples=80, deadline=None)
@given(st.lists(saves, max_size=12))
def test_a_killed_process_finds_everything_that_it_wrote(all_saves: list[Save]) -> None:
    disk = MemoryDisk()
    possible = asyncio.run(save_all(disk, all_saves))
    hard_state, entries = reopened(disk)
    assert Model(hard_state, entries) == possible[-1]


@settings(max_examples=150, deadline=None)
@given(st.lists(saves, max_size=12), st.integers(0, 2**32))
def test_a_power_loss_leaves_all_synced_records_and_a_prefix_of_the_others(
    all_saves: list[Save], seed: int
) -> None:
    disk = MemoryDisk()
    possible = asyncio.run(save_all(disk, all_saves))
    generator = random.Random(seed)
    disk = disk.power_loss(lambda: generator.random() < 0.6)
    found = Model(*reopened(disk))
    assert found in possible
    again = Model(*reopened(disk.power_loss(lambda: False)))
    assert again == found, "the recovered state is not durable"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=600), min_size=1, max_size=3), st.integers(0, 2**32))
def test_the_log_continues_after_a_torn_tail(datas: list[bytes], seed: int) -> None:
    async def scenario() -> None:
        disk = MemoryDisk()
        wal = await new_wal(disk)
        await wal.save(HardState(1, 1, 0), [entry(1)], sync=True)
        wal.append(None, [entry(2 + at, data=data) for at, data in enumerate(datas)])
        generator = random.Random(seed)
        disk = disk.power_loss(lambda: generator.random() < 0.5)
        wal, _, _, entries = await Wal.open(disk, "wal", segment_bytes=SMALL)
        again = [entry(len(entries) + 1, term=2, data=b"again")]
        await wal.save(HardState(2, 2, 1), again, sync=True)
        disk = disk.power_loss(lambda: False)
        _, _, hard_state, found = await Wal.open(disk, "wal", segment_bytes=SMALL)
        assert found == entries + again
        assert hard_state == HardState(2, 2, 1)

    asyncio.run(scenario())


def test_a_write_that_ends_at_any_byte_is_truncated_to_whole_records() -> None:
    async def build() -> tuple[MemoryDisk, int]:
        disk = MemoryDisk()
        wal = await new_wal(disk)
        await wal.save(HardState(1, 1, 0), [entry(1, data=b"kept")], sync=True)
        begin = used_bytes(disk, last_path(disk))
        wal.append(HardState(2, 1, 1), [entry(2, data=b"x" * 20 + bytes(20)), entry(3)])
        return disk, begin

    whole, begin = asyncio.run(build())
    path = last_path(whole)
    size = len(whole.read(path))
    for cut in range(begin, used_bytes(whole, path) + 1):
        for shortens_file in (False, True):
            disk = whole.copy()
            file = disk.open(path)
            file.truncate(cut)
            if not shortens_file:
                file.truncate(size)
            hard_state, entries = reopened(disk)
            assert [found.index for found in entries] in ([1], [1, 2], [1, 2, 3])
            assert entries[0].data == b"kept"
            if cut == begin:
                assert hard_state == HardState(1, 1, 0)


async def three_batches() -> tuple[MemoryDisk, list[int]]:
    """A log of one segment with three batches, and the offset of the end of each."""
    disk = MemoryDisk()
    wal = await Wal.create(disk, "wal", METADATA, segment_bytes=1 << 13)
    ends = []
    for number in range(3):
        first = 2 * number + 1
        datas = (b"a" * 700, b"b" * 30 + bytes(600))
        await wal.save(
            HardState(1, 1, number + 1),
            [entry(first + at, data=data) for at, data in enumerate(datas)],
            sync=True,
        )
        ends.append(used_bytes(disk, last_path(disk)))
    return disk, ends


def test_a_changed_byte_before_the_last_batch_is_refused() -> None:
    whole, ends = asyncio.run(three_batches())
    content = whole.read(last_path(whole))
    untouched = reopened(whole.copy())
    for at in range(ends[1]):
        for change in (0x01, 0xFF, content[at] or 0x80):
            disk = whole.copy()
            disk.names[last_path(disk)].cached[at] ^= change
            try:
                found = reopened(disk)
            except WalCorrupt:
                continue
            # Padding and end marks contain no data.
            assert found == untouched, f"byte {at}"


def test_a_sector_lost_before_the_last_batch_is_refused() -> None:
    whole, ends = asyncio.run(three_batches())
    for at in range(0, ends[1] - 512, 512):
        disk = whole.copy()
        disk.names[last_path(disk)].cached[at : at + 512] = bytes(512)
        with pytest.raises(WalCorrupt, match=r"wal/0{16}-0{16}.wal: offset \d+: found"):
            reopened(disk)


def test_a_changed_byte_in_the_last_batch_is_refused_if_no_lost_sector_explains_it() -> None:
    async def build() -> tuple[MemoryDisk, int, int]:
        disk = MemoryDisk()
        wal = await new_wal(disk)
        begin = used_bytes(disk, last_path(disk))
        await wal.save(HardState(1, 1, 1), [entry(1, data=b"a" * 700)], sync=True)
        return disk, begin, used_bytes(disk, last_path(disk))

    whole, begin, end = asyncio.run(build())
    untouched = reopened(whole.copy())
    for at in range(begin, end):
        disk = whole.copy()
        disk.names[last_path(disk)].cached[at] ^= 0x41
        try:
            found = reopened(disk)
        except WalCorrupt:
            continue
        assert found == untouched, f"byte {at}"


def test_damage_in_a_segment_before_the_last_is_refused() -> None:
    async def build() -> MemoryDisk:
        disk = MemoryDisk()
        wal = await new_wal(disk)
        for index in range(1, 8):
            await wal.save(None, [entry(index, data=b"a" * 500)], sync=True)
        return disk

    disk = asyncio.run(build())
    first = f"wal/{list_segments(disk, 'wal')[0]}"
    disk.open(first).truncate(used_bytes(disk, first) - 100)
    with pytest.raises(WalCorrupt, match="may have acknowledged"):
        reopened(disk)


def test_a_missing_segment_is_refused() -> None:
    async def build() -> MemoryDisk:
        disk = MemoryDisk()
        wal = await new_wal(disk)
        for index in range(1, 20):
            await wal.save(None, [entry(index, data=b"a" * 500)], sync=True)
        return disk

    disk = asyncio.run(build())
    segments = list_segments(disk, "wal")
    assert len(segments) > 3
    disk.remove(f"wal/{segments[1]}")
    with pytest.raises(WalCorrupt, match="expected number 1"):
        reopened(disk)


def test_a_segment_of_another_log_is_refused() -> None:
    async def build(data: bytes) -> MemoryDisk:
        disk = MemoryDisk()
        wal = await new_wal(disk)
        for index in range(1, 8):
            await wal.save(None, [entry(index, data=data * 500)], sync=True)
        return disk

    disk, other = asyncio.run(build(b"a")), asyncio.run(build(b"b"))
    disk.names[last_path(disk)] = other.names[last_path(other)]
    with pytest.raises(WalCorrupt, match="a segment that follows link"):
        reopened(disk)


def test_segments_before_a_snapshot_are_released_and_the_rest_still_opens() -> None:
    async def scenario() -> None:
        disk = MemoryDisk()
        wal = await new_wal(disk)
        for index in range(1, 20):
            await wal.save(HardState(1, 1, index), [entry(index, data=b"a" * 500)], sync=True)
        at_ten = SnapshotMetadata(10, 1)
        await wal.save_snapshot_mark(at_ten)
        before = len(list_segments(disk, "wal"))
        removed = await wal.release(10)
        assert removed > 0
        assert len(list_segments(disk, "wal")) == before - removed
        assert await wal.release(10) == 0
        disk = disk.power_loss(lambda: False)
        assert snapshot_marks(disk, "wal") == [at_ten]
        wal, _, hard_state, entries = await Wal.open(disk, "wal", at_ten, segment_bytes=SMALL)
        assert [found.index for found in entries] == list(range(11, 20))
        assert hard_state == HardState(1, 1, 19)

    asyncio.run(scenario())


def test_no_segment_is_released_for_a_mark_whose_commit_is_not_durable() -> None:
    async def scenario() -> None:
        disk = MemoryDisk()
        wal = await new_wal(disk)
        for index in range(1, 20):
            await wal.save(HardState(1, 1, 5), [entry(index, data=b"a" * 500)], sync=True)
        await wal.save_snapshot_mark(SnapshotMetadata(10, 1))
        assert await wal.release(10) == 0
        wal.append(HardState(1, 1, 19), [])
        assert await wal.release(10) == 0, "the commit is not durable yet"
        assert snapshot_marks(disk.power_loss(lambda: False), "wal") == [SnapshotMetadata()]
        await wal.sync()
        assert await wal.release(10) > 0

    asyncio.run(scenario())


def test_a_mark_of_a_committed_index_is_valid_at_once() -> None:
    """The hard state with that commit index may not be written yet."""

    async def scenario() -> None:
        disk = MemoryDisk()
        wal = await new_wal(disk)
        await wal.save(HardState(2, 1, 5), [entry(index) for index in range(1, 20)], sync=True)
        mark = SnapshotMetadata(10, 1)
        await wal.save_snapshot_mark(mark, committed=True)
        assert wal.hard_state == HardState(2, 1, 10)
        after = disk.power_loss(lambda: False)
        assert snapshot_marks(after, "wal") == [SnapshotMetadata(), mark]
        await wal.save_snapshot_mark(SnapshotMetadata(8, 1), committed=True)
        assert wal.hard_state == HardState(2, 1, 10), "the commit index must not decrease"

    asyncio.run(scenario())


def test_entries_after_a_received_snapshot_need_not_follow_the_entries_before_it() -> None:
    async def scenario() -> None:
        disk = MemoryDisk()
        wal = await new_wal(disk)
        await wal.save(HardState(1, 1, 1), [entry(1), entry(2)], sync=True)
        received = SnapshotMetadata(50, 3)
        await wal.save_snapshot_mark(received)
        assert received not in snapshot_marks(disk, "wal"), "the snapshot is not committed here yet"
        await wal.save(HardState(3, 0, 50), [entry(51, term=3)], sync=True)
        assert snapshot_marks(disk, "wal") == [SnapshotMetadata(), received]
        _, entries = await asyncio.to_thread(reopened, disk, received)
        assert entries == [entry(51, term=3)]
        with pytest.raises(WalCorrupt, match="found entry 51, expected entry 3"):
            await Wal.open(disk, "wal", segment_bytes=SMALL)

    asyncio.run(scenario())


def test_a_snapshot_without_a_mark_is_refused() -> None:
    disk = MemoryDisk()
    asyncio.run(new_wal(disk))
    with pytest.raises(WalCorrupt, match="no mark of the snapshot"):
        reopened(disk, SnapshotMetadata(4, 1))


def test_a_segment_with_a_temporary_name_is_removed() -> None:
    async def build() -> MemoryDisk:
        disk = MemoryDisk()
        wal = await new_wal(disk)
        await wal.save(None, [entry(1)], sync=True)
        disk.create("wal/0000000000000001-0000000000000002.wal.tmp", preallocate_bytes=SMALL)
        return disk

    disk = asyncio.run(build())
    assert reopened(disk)[1] == [entry(1)]
    assert len(disk.list("wal")) == 1


def test_a_log_that_failed_to_sync_refuses_further_writes() -> None:
    async def scenario() -> None:
        disk = MemoryDisk()
        wal = await new_wal(disk)
        wal.append(None, [entry(1)])
        disk.names[last_path(disk)].fail_sync = True
        with pytest.raises(DiskError, match="Input/output error"):
            await wal.sync()
        disk.names[last_path(disk)].fail_sync = False
        with pytest.raises(DiskError, match="an earlier write failed"):
            await wal.sync()
        with pytest.raises(DiskError, match="an earlier write failed"):
            wal.append(None, [entry(2)])

    asyncio.run(scenario())


def test_a_log_can_be_created_only_once() -> None:
    async def scenario() -> None:
        disk = MemoryDisk()
        assert not wal_exists(disk, "wal")
        with pytest.raises(FileNotFoundError):
            await Wal.open(disk, "wal")
        await new_wal(disk)
        assert wal_exists(disk.power_loss(lambda: False), "wal")
        with pytest.raises(FileExistsError):
            await new_wal(disk)

    asyncio.run(scenario())


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_the_name_of_a_segment_contains_its_sequence_number_and_index(
    sequence: int, index: int
) -> None:
    assert parse_segment_name(str(SegmentName(sequence, index))) == SegmentName(sequence, index)


@pytest.mark.parametrize("name", ["x", "a.wal", "0-0.wal", "0" * 16 + "-" + "0" * 16 + ".wal.tmp"])
def test_other_file_names_are_not_names_of_segments(name: str) -> None:
    assert parse_segment_name(name) is None


async def log_with_an_early_mark() -> MemoryDisk:
    """A log that contains the mark of a snapshot at 10 before the entries up to 10.

    The member marks the leader's snapshot at 10, and crashes before its commit is durable. Then
    it appends the entries one by one, in several segments, until 10 is committed.
    """
    disk = MemoryDisk()
    wal = await new_wal(disk)
    await wal.save(HardState(1, 1, 3), [entry(index) for index in range(1, 4)], sync=True)
    await wal.save_snapshot_mark(SnapshotMetadata(10, 1))
    disk = disk.power_loss(lambda: False)
    wal, _, _, entries = await Wal.open(disk, "wal", segment_bytes=SMALL)
    assert [found.index for found in entries] == [1, 2, 3]
    for index in range(4, 15):
        await wal.save(HardState(1, 1, index), [entry(index, data=b"a" * 900)], sync=True)
    wal.close()
    return disk


def test_a_log_opens_after_a_snapshot_whose_mark_is_far_before_its_entries() -> None:
    disk = asyncio.run(log_with_an_early_mark())
    assert SnapshotMetadata(10, 1) in snapshot_marks(disk, "wal")
    hard_state, entries = reopened(disk, SnapshotMetadata(10, 1))
    assert hard_state == HardState(1, 1, 14)
    assert [found.index for found in entries] == [11, 12, 13, 14]


def test_the_segment_of_the_mark_that_a_restart_needs_is_kept() -> None:
    async def scenario() -> None:
        disk = await log_with_an_early_mark()
        wal, *_ = await Wal.open(disk, "wal", segment_bytes=SMALL)
        await wal.save_snapshot_mark(SnapshotMetadata(12, 1))
        assert await wal.release(11) == 0, "10 is the newest snapshot up to 11"
        assert SnapshotMetadata(10, 1) in snapshot_marks(disk, "wal")
        assert await wal.release(12) > 0
        assert snapshot_marks(disk, "wal") == [SnapshotMetadata(12, 1)]
        wal.close()
        _, entries = await asyncio.to_thread(reopened, disk, SnapshotMetadata(12, 1))
        assert [found.index for found in entries] == [13, 14]

    asyncio.run(scenario())


@settings(max_examples=100, deadline=None)
@given(st.lists(saves, max_size=8), st.lists(saves, max_size=4), st.integers(0, 2**32))
def test_a_trimmed_log_has_no_unused_tail_and_continues_after_a_power_loss(
    before: list[Save], after: list[Save], seed: int
) -> None:
    disk = MemoryDisk()
    generator = random.Random(seed)

    async def scenario() -> None:
        wal = await new_wal(disk)
        first = 1
        for hard_state, _, datas, _ in before:
            entries = [entry(first + at, data=data) for at, data in enumerate(datas)]
            first += len(datas)
            await wal.save(hard_state, entries, sync=True)
        saved_state = wal.hard_state
        wal.trim()
        wal.close()
        path = last_path(disk)
        assert disk.size(path) == used_bytes(disk, path)

        lost = disk.power_loss(lambda: generator.random() < 0.5)
        wal, _, hard_state, entries = await Wal.open(lost, "wal", segment_bytes=SMALL)
        assert (hard_state, len(entries)) == (saved_state, first - 1)
        assert lost.size(last_path(lost)) >= SMALL
        for hard_state_after, _, datas, _ in after:
            entries = [entry(first + at, data=data) for at, data in enumerate(datas)]
            first += len(datas)
            await wal.save(hard_state_after, entries, sync=True)
        saved_state = wal.hard_state
        wal.close()
        lost = lost.power_loss(lambda: generator.random() < 0.5)
        _, _, hard_state, entries = await Wal.open(lost, "wal", segment_bytes=SMALL)
        assert (hard_state, len(entries)) == (saved_state, first - 1)

    asyncio.run(scenario())
