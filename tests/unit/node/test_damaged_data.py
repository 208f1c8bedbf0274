"""A member whose disk damaged its data notices that, and recovers from its peers or refuses.

Each test makes the data of a member of three, damages a part of it, and opens it again. The member
must come up with everything that it had acknowledged, or with a floor and a term that account for
the rest.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator

import pytest

from splitbrain.node.apply.store_requests import apply
from splitbrain.node.backend import Backend
from splitbrain.node.config import Config, checked_config
from splitbrain.node.member_storage import (
    BACKEND,
    INCARNATION,
    SEAL,
    SNAPSHOTS,
    WAL,
    DataRefused,
    MemberStorage,
)
from splitbrain.node.messages.rpc import PutRequest
from splitbrain.node.mvcc.store import Store, applied_position
from splitbrain.node.raft.message import START, Entry, HardState, Snapshot, SnapshotMetadata
from splitbrain.node.storage.durable_end import SLOT_BYTES
from splitbrain.node.storage.memory_backend import MemoryBackend
from splitbrain.node.storage.snapshot_file import snapshot_name
from splitbrain.node.storage.wal_segment_reader import list_segments
from tests.unit.storage.memory_disk import MemoryDisk

TERM, VOTE, APPLIED, LAST = 4, 12, 9, 12
DAMAGED_BYTES = 250
"""How many bytes are damaged, one in each case."""


def config(members: int = 3, *, seal_log: bool = True) -> Config:
    names = [f"n{number}" for number in range(1, members + 1)]
    return checked_config(Config(
        name="n1", data_dir="n1",
        initial_cluster=tuple((name, (f"http://{name}:2380",)) for name in names),
        listen_client_urls=("http://n1:2379",), advertise_client_urls=("http://n1:2379",),
        listen_peer_urls=("http://n1:2380",), wal_segment_bytes=4096, seal_log=seal_log,
        snapshots_kept=1,
    ))


async def apply_up_to(backend: Backend, last: int) -> None:
    store = Store(backend)
    for index in range(store.consistent_index + 1, last + 1):
        store.set_consistent_index(index, TERM)
        apply(store, PutRequest(f"k{index}".encode(), b"v" * 40))
    await backend.flush()


async def new_data(settings: Config) -> MemoryDisk:
    """Entries up to LAST, a snapshot at 5, and a backend that has applied APPLIED."""
    disk = MemoryDisk()
    storage = await MemberStorage.open(disk, settings)
    for index in range(1, LAST + 1):
        entry = Entry(TERM, index, data=b"e" * 500)
        await storage.save(HardState(TERM, VOTE, index - 1), [entry], sync=True)
        if index == 5:
            await apply_up_to(storage.backend, 5)
            await storage.save_snapshot(SnapshotMetadata(5, TERM))
    await apply_up_to(storage.backend, APPLIED)
    storage.close()
    return disk


def opened(disk: MemoryDisk, settings: Config) -> MemberStorage:
    async def run() -> MemberStorage:
        storage = await MemberStorage.open(disk, settings)
        storage.close()
        return storage

    return asyncio.run(run())


def is_complete(storage: MemberStorage) -> bool:
    found = storage.recovered
    last = found.entries[-1].index if found.entries else found.snapshot.index
    applied = applied_position(storage.backend)[1]
    return (found.hard_state.term, last, found.floor, applied) == (TERM, LAST, START, APPLIED)


def check_recovers(storage: MemberStorage, applied: int) -> None:
    found = storage.recovered
    assert storage.damage
    assert found.floor == (TERM, LAST)
    assert found.hard_state == HardState(TERM + 1, 0, applied)
    assert (found.snapshot.index, list(found.entries)) == (applied, [])
    assert applied_position(storage.backend)[1] == applied


def files(disk: MemoryDisk) -> list[str]:
    return sorted(disk.names)


def damaged_places(disk: MemoryDisk) -> Iterator[tuple[str, int]]:
    """Random bytes that are not zero, in each file the same number."""
    generator = random.Random(5)
    for path in files(disk):
        content = disk.read(path)
        places = [at for at, byte in enumerate(content) if byte]
        count = min(DAMAGED_BYTES // len(files(disk)), len(places))
        for at in generator.sample(places, count):
            yield path, at


def test_no_changed_byte_makes_a_member_forget_what_it_acknowledged() -> None:
    settings = config()
    whole = asyncio.run(new_data(settings))
    assert is_complete(opened(whole.copy(), settings))
    recovered = 0
    for path, at in damaged_places(whole):
        disk = whole.copy()
        disk.names[path].cached[at] ^= 0x40
        storage = opened(disk, settings)
        if not is_complete(storage):
            check_recovers(storage, APPLIED)
            recovered += 1
    assert recovered > 50


def test_no_lost_file_makes_a_member_forget_what_it_acknowledged() -> None:
    settings = config()
    whole, recovered = asyncio.run(new_data(settings)), 0
    for path in files(whole):
        disk = whole.copy()
        disk.remove(path)
        storage = opened(disk, settings)
        if not is_complete(storage):
            assert path not in (INCARNATION, SEAL)
            check_recovers(storage, APPLIED)
            recovered += 1
        assert storage.incarnation == 2, path
    assert recovered >= 2


@pytest.mark.parametrize("sectors", [1, 2, 5])
def test_no_lost_sectors_of_the_log_make_a_member_forget_what_it_acknowledged(
    sectors: int,
) -> None:
    settings = config()
    whole = asyncio.run(new_data(settings))
    generator = random.Random(sectors)
    paths = [path for path in files(whole) if path.startswith(WAL)]
    for _ in range(60):
        disk = whole.copy()
        for _ in range(sectors):
            cached = disk.names[generator.choice(paths)].cached
            at = generator.randrange(0, len(cached), 512)
            cached[at : at + 512] = bytes(512)
        storage = opened(disk, settings)
        if not is_complete(storage):
            check_recovers(storage, APPLIED)


def flip(disk: MemoryDisk) -> None:
    pairs = disk.backends[BACKEND].buckets[b"key"]
    key = next(iter(pairs))
    pairs[key] = bytes((pairs[key][0] ^ 1,)) + pairs[key][1:]


def lose_pair(disk: MemoryDisk) -> None:
    pairs = disk.backends[BACKEND].buckets[b"key"]
    del pairs[next(reversed(pairs))]


def lose_digest(disk: MemoryDisk) -> None:
    disk.backends[BACKEND].digest = None


@pytest.mark.parametrize("seal_log", [True, False])
@pytest.mark.parametrize("damage", [flip, lose_pair, lose_digest])
def test_a_damaged_backend_is_replaced_by_an_empty_one(
    damage: Callable[[MemoryDisk], None], seal_log: bool
) -> None:
    settings = config(seal_log=seal_log)
    disk = asyncio.run(new_data(settings))
    damage(disk)
    check_recovers(opened(disk, settings), 0)


def test_a_backend_older_than_the_log_is_kept_and_the_log_begins_after_it() -> None:
    async def scenario() -> MemoryDisk:
        disk = await new_data(settings)
        older = disk.backends[BACKEND].copy()
        storage = await MemberStorage.open(disk, settings)
        await apply_up_to(storage.backend, LAST)
        await storage.save_snapshot(SnapshotMetadata(LAST, TERM))
        storage.close()
        disk.backends[BACKEND] = older
        return disk

    settings = config()
    check_recovers(opened(asyncio.run(scenario()), settings), APPLIED)


def test_a_damaged_log_without_a_seal_is_refused() -> None:
    settings = config(seal_log=False)
    disk = asyncio.run(new_data(settings))
    first = f"{WAL}/{list_segments(disk, WAL)[0]}"
    disk.names[first].cached[100] ^= 1
    with pytest.raises(DataRefused, match="does not know what it has acknowledged"):
        opened(disk, settings)


def test_a_damaged_log_and_a_damaged_seal_are_refused() -> None:
    settings = config()
    disk = asyncio.run(new_data(settings))
    first = f"{WAL}/{list_segments(disk, WAL)[0]}"
    disk.names[first].cached[100] ^= 1
    disk.names[SEAL].cached[:] = bytes(2 * SLOT_BYTES)
    with pytest.raises(DataRefused, match="does not know what it has acknowledged"):
        opened(disk, settings)


def test_a_single_member_with_damaged_data_is_refused() -> None:
    settings = config(members=1)
    disk = asyncio.run(new_data(settings))
    lose_pair(disk)
    with pytest.raises(DataRefused, match="no other member to recover from"):
        opened(disk, settings)


def test_a_crash_during_the_recovery_does_not_forget_the_floor() -> None:
    settings = config()
    whole = asyncio.run(new_data(settings))
    first = f"{WAL}/{list_segments(whole, WAL)[0]}"
    whole.names[first].cached[100] ^= 1

    for stop in range(40):
        disk = whole.copy()
        crash_after(disk, stop)
        generator = random.Random(stop)
        after = disk.power_loss(lambda: generator.random() < 0.5)  # noqa: B023
        storage = opened(after, settings)
        assert storage.recovered.floor == (TERM, LAST)
        assert storage.recovered.hard_state.term > TERM
        assert storage.recovered.snapshot.index == APPLIED


class _Crash(BaseException):
    pass


def crash_after(disk: MemoryDisk, changes: int) -> None:
    """Open the data, and crash after this number of changes of names."""
    change_names, left = disk._change_names, changes

    def counted(directory: str, change: Callable[..., None]) -> None:
        nonlocal left
        if not left:
            raise _Crash
        left -= 1
        change_names(directory, change)

    disk._change_names = counted  # type: ignore[method-assign]
    try:
        opened(disk, config())
    except _Crash:
        return


def test_a_log_that_was_begun_anew_continues_and_forgets_its_floor_once_it_is_reached() -> None:
    async def scenario() -> None:
        disk = await new_data(settings)
        disk.names[f"{WAL}/{list_segments(disk, WAL)[0]}"].cached[100] ^= 1
        storage = await MemberStorage.open(disk, settings)
        for index in range(APPLIED + 1, LAST + 1):
            assert storage.recovered.floor == (TERM, LAST)
            entry = Entry(TERM, index, data=b"e" * 900)
            await storage.save(HardState(TERM + 2, 0, index), [entry], sync=True)
            storage.close()
            storage = await MemberStorage.open(disk, settings)
            assert not storage.damage
            assert [one.index for one in storage.recovered.entries][-1] == index
        assert storage.recovered.floor == START
        assert storage.recovered.hard_state.term == TERM + 2
        storage.close()

    settings = config()
    asyncio.run(scenario())


def test_a_received_snapshot_reaches_the_floor() -> None:
    async def scenario() -> None:
        disk = await new_data(settings)
        lose_pair(disk)
        storage = await MemberStorage.open(disk, settings)
        leaders = MemoryBackend()
        await apply_up_to(leaders, 20)
        metadata = SnapshotMetadata(20, TERM + 2)
        await storage.receive_snapshot(Snapshot(metadata, await leaders.snapshot()))
        await storage.save(HardState(TERM + 2, 0, 20), (), sync=True)
        storage.close()
        storage = await MemberStorage.open(disk, settings)
        assert (storage.recovered.floor, storage.recovered.snapshot.index) == (START, 20)
        assert not storage.damage
        storage.close()

    settings = config()
    asyncio.run(scenario())


@pytest.mark.parametrize("seal_log", [False, True])
def test_a_member_that_lost_the_snapshot_of_a_leader_recovers_from_it(*, seal_log: bool) -> None:
    async def scenario() -> MemoryDisk:
        disk = await new_data(settings)
        storage = await MemberStorage.open(disk, settings)
        leaders = MemoryBackend()
        await apply_up_to(leaders, 20)
        metadata = SnapshotMetadata(20, TERM + 2)
        await storage.receive_snapshot(Snapshot(metadata, await leaders.snapshot()))
        await storage.save(HardState(TERM + 2, 0, 20), (), sync=True)
        storage.close()
        disk.names[f"{SNAPSHOTS}/{snapshot_name(metadata)}"].cached[40] ^= 1
        return disk

    settings = config(seal_log=seal_log)
    storage = opened(asyncio.run(scenario()), settings)
    assert "lost the snapshot" in storage.damage
    found = storage.recovered
    assert found.floor == (TERM + 2, 20)
    assert found.hard_state == HardState(TERM + 3, 0, APPLIED)
    assert (found.snapshot.index, list(found.entries)) == (APPLIED, [])
