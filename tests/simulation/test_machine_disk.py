"""The simulated disk, and the log on it, after a crash, a power loss and a failed sync."""

from __future__ import annotations

from collections.abc import Coroutine
from random import Random
from typing import Any, TypeVar

import pytest

from splitbrain.harness.schedule.network_and_disk_conditions import DiskConditions
from splitbrain.harness.simulation.machine_disk import MachineDisk, SimulatedDisk
from splitbrain.harness.simulation.simulated_process import Process
from splitbrain.harness.simulation.virtual_loop import VirtualLoop
from splitbrain.nemesis.disk_fault import HEALTHY, DiskArea, DiskState
from splitbrain.node.member_storage import BACKEND, SNAPSHOTS
from splitbrain.node.raft.message import Entry, HardState
from splitbrain.node.storage.content_checksums import BackendDamaged
from splitbrain.node.storage.wal import NO_SNAPSHOT, Wal, WalCorrupt, WalMetadata
from splitbrain.node.world import DiskError

T = TypeVar("T")
OWNER = WalMetadata(1, 2)


def entries(first: int, last: int) -> list[Entry]:
    return [Entry(term=1, index=index, data=b"x" * 700) for index in range(first, last + 1)]


class Machine:
    """A machine with a disk, and processes that use the disk one after the other."""


    def __init__(self, seed: int, *, remembers: bool = False) -> None:
        self.loop = VirtualLoop()
        self.disk = MachineDisk(self.loop, Random(seed))
        self.disk.remembers = remembers
        self._lives = 0
        self._process: Process | None = None

    def life(self) -> SimulatedDisk:
        if self._process is not None:
            self._process.end()
        self._lives += 1
        self._process = Process("n1", self._lives)
        return SimulatedDisk(self.loop, self.disk, self._process)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def lose_power(self) -> None:
        assert self._process is not None
        self._process.end()
        self.disk.lose_power()


@pytest.mark.parametrize("seed", range(20))
def test_what_a_restart_reads_after_a_failed_sync_survives_a_power_loss(seed: int) -> None:
    machine = Machine(seed)

    async def first_life() -> None:
        disk = machine.life()
        wal = await Wal.create(disk, "wal", OWNER, segment_bytes=65536)
        await disk.sync_directory(".")
        await wal.save(HardState(term=1, commit=1), entries(1, 2), sync=True)
        machine.disk.state = DiskState(sync_error_percent=100)
        with pytest.raises(DiskError):
            await wal.save(HardState(term=1, commit=2), entries(3, 6), sync=True)
        machine.disk.state = HEALTHY

    async def open_log() -> tuple[list[Entry], Wal]:
        wal, _, _, found = await Wal.open(machine.life(), "wal", NO_SNAPSHOT, segment_bytes=65536)
        return found, wal

    async def second_life() -> list[Entry]:
        found, wal = await open_log()
        await wal.save(HardState(term=1, commit=6), entries(7, 8), sync=True)
        return [*found, *entries(7, 8)]

    machine.run(first_life())
    durable = machine.run(second_life())
    machine.lose_power()
    found, _ = machine.run(open_log())
    assert found == durable
    assert len(durable) == 8


def test_a_process_that_crashes_loses_nothing_that_it_wrote() -> None:
    machine = Machine(1)

    async def first_life() -> None:
        disk = machine.life()
        disk.make_directory("d")
        file = disk.create("d/f")
        file.write(0, b"written")

    machine.run(first_life())
    assert machine.life().read("d/f") == b"written"


def test_a_power_loss_keeps_synced_data_and_any_sectors_of_the_rest() -> None:
    seen: set[bytes] = set()
    for seed in range(60):
        machine = Machine(seed)

        async def life(machine: Machine = machine) -> None:
            disk = machine.life()
            file = disk.create("f")
            file.write(0, b"a" * 1024)
            await file.sync()
            await disk.sync_directory(".")
            file.write(0, b"b" * 1024)

        machine.run(life())
        machine.lose_power()
        content = machine.life().read("f")
        seen.add(content[:512] + b"|" + content[512:])
        assert set(content[:512]) <= {ord("a")} or set(content[:512]) <= {ord("b")}
    assert len({(one[0], one[-1]) for one in seen}) == 4


def test_a_name_whose_directory_was_not_synced_may_be_lost_with_its_content() -> None:
    found = set()
    for seed in range(20):
        machine = Machine(seed)

        async def life(machine: Machine = machine) -> None:
            file = machine.life().create("f")
            file.write(0, b"content")
            await file.sync()

        machine.run(life())
        machine.lose_power()
        found.add(machine.life().exists("f"))
    assert found == {False, True}


def test_a_lying_sync_succeeds_and_makes_nothing_durable() -> None:
    machine = Machine(7)

    async def life() -> None:
        disk = machine.life()
        file = disk.create("f")
        await disk.sync_directory(".")
        machine.disk.state = DiskState(lying=True)
        file.write(0, b"c" * 4096)
        await file.sync()
        assert file.unsynced_bytes == 0

    machine.run(life())
    for _ in range(3):
        machine.lose_power()
    assert machine.life().read("f") != b"c" * 4096


def test_a_file_counts_the_bytes_that_an_earlier_process_left_unsynced() -> None:
    machine = Machine(1)

    async def first_life() -> None:
        file = machine.life().create("f")
        file.write(0, b"written")
        assert file.unsynced_bytes == 7

    async def second_life() -> None:
        file = machine.life().open("f")
        assert file.unsynced_bytes == 7
        await file.sync()
        assert file.unsynced_bytes == 0

    machine.run(first_life())
    machine.run(second_life())


def test_what_a_failed_sync_dropped_is_unsynced_until_it_is_written_again() -> None:
    machine = Machine(3)
    machine.disk.random.random = lambda: 0.2  # type: ignore[method-assign]  # everything is dropped

    async def first_life() -> None:
        file = machine.life().create("f")
        file.write(0, b"written")
        machine.disk.state = DiskState(sync_error_percent=100)
        with pytest.raises(DiskError):
            await file.sync()
        machine.disk.state = HEALTHY

    async def second_life() -> None:
        file = machine.life().open("f")
        await file.sync()
        assert file.unsynced_bytes > 0
        file.write(0, b"written")
        await file.sync()
        assert file.unsynced_bytes == 0

    machine.run(first_life())
    machine.run(second_life())


async def a_log(machine: Machine) -> None:
    disk = machine.life()
    wal = await Wal.create(disk, "wal", OWNER, segment_bytes=8192)
    await disk.sync_directory(".")
    await wal.save(HardState(1, 2, 0), entries(1, 20), sync=True)


async def read_log(machine: Machine) -> list[Entry]:
    _, _, _, found = await Wal.open(
        machine.life(), "wal", NO_SNAPSHOT, segment_bytes=8192
    )
    return list(found)


def test_a_flipped_bit_is_found_when_the_log_is_read() -> None:
    """The rest are bits outside of any record."""
    refused = 0
    for seed in range(40):
        machine = Machine(seed)
        machine.run(a_log(machine))
        before = dict(contents(machine))
        assert "at" in machine.disk.rot()
        changed = [path for path, content in contents(machine) if before[path] != content]
        assert len(changed) == 1
        assert machine.disk.lost_durable_data
        try:
            assert machine.run(read_log(machine)) == entries(1, 20)
        except WalCorrupt:
            refused += 1
    assert refused >= 20


def contents(machine: Machine) -> list[tuple[str, bytes]]:
    return [(path, inode.read()) for path, inode in machine.disk.volume.files()]


@pytest.mark.parametrize("seed", range(20))
def test_a_misdirected_write_creates_no_entry_that_was_not_written(seed: int) -> None:
    machine = Machine(seed)

    async def write_astray() -> None:
        disk = machine.life()
        wal = await Wal.create(disk, "wal", OWNER, segment_bytes=65536)
        await disk.sync_directory(".")
        for index in range(1, 9):
            machine.disk.state = DiskState(misdirect_percent=100) if index == 4 else HEALTHY
            await wal.save(None, entries(index, index), sync=True)

    machine.run(write_astray())
    assert machine.disk.lost_durable_data
    try:
        found = machine.run(read_log(machine))
    except WalCorrupt:
        return
    assert found == entries(1, len(found))


def test_a_read_error_is_raised() -> None:
    machine = Machine(2)
    machine.run(a_log(machine))
    machine.disk.state = DiskState(read_error_percent=100)
    with pytest.raises(DiskError, match="Input/output error"):
        machine.run(read_log(machine))


def test_synced_data_is_durable_after_a_failed_sync_dropped_the_size() -> None:
    for seed in range(20):
        machine = Machine(seed)

        async def life(machine: Machine = machine) -> None:
            disk = machine.life()
            file = disk.create("f", preallocate_bytes=4096)
            await file.sync()
            await disk.sync_directory(".")
            file.truncate(100)
            file.truncate(4096)
            machine.disk.state = DiskState(sync_error_percent=100)
            with pytest.raises(DiskError):
                await file.sync()
            machine.disk.state = HEALTHY
            file.write(100, b"s" * 1000)
            await file.sync()

        machine.run(life())
        machine.lose_power()
        assert machine.life().read("f")[100:1100] == b"s" * 1000


def test_disk_conditions_make_a_disk_slow() -> None:
    def took_ns(conditions: DiskConditions) -> int:
        machine = Machine(1)
        machine.disk.conditions = conditions

        async def life() -> int:
            file = machine.life().create("f")
            file.write(0, b"written")
            began_ns = machine.loop.now_ns
            await file.sync()
            return machine.loop.now_ns - began_ns

        return machine.run(life())

    assert took_ns(DiskConditions(sync_ms=50.0)) > took_ns(DiskConditions())


# --- synced data that is lost ---------------------------------------------------------------


def written_in_two_syncs(machine: Machine) -> None:
    async def life() -> None:
        disk = machine.life()
        disk.make_directory("member/wal")
        await disk.sync_directory("member")
        await disk.sync_directory(".")
        file = disk.create("member/wal/f")
        await disk.sync_directory("member/wal")
        file.write(0, b"a" * 2048)
        await file.sync()
        file.write(512, b"b" * 1024)
        await file.sync()

    machine.run(life())


SYNCED = b"a" * 512 + b"b" * 1024 + b"a" * 512


@pytest.mark.parametrize("seed", range(10))
def test_lost_sectors_have_earlier_content_after_a_power_loss(seed: int) -> None:
    machine = Machine(seed, remembers=True)
    written_in_two_syncs(machine)
    assert "member/wal/f at sector" in machine.disk.lose_sectors("log", 2)
    assert machine.life().read("member/wal/f") == SYNCED
    machine.lose_power()
    found = machine.life().read("member/wal/f")
    assert found != SYNCED
    assert len(found) == 2048
    for sector in range(4):
        assert set(found[sector * 512 : (sector + 1) * 512]) in ({0}, {ord("a")}, {ord("b")})


def test_no_sectors_are_lost_in_another_area() -> None:
    machine = Machine(1, remembers=True)
    written_in_two_syncs(machine)
    assert machine.disk.lose_sectors("snapshots", 4) == ""
    assert machine.disk.rot("seal") == ""
    assert not machine.disk.lost_durable_data


@pytest.mark.parametrize(("area", "lies"), [("log", True), ("", True), ("seal", False)])
def test_a_lie_of_one_area_does_not_affect_the_others(area: DiskArea, lies: bool) -> None:
    machine = Machine(2)
    machine.disk.random.random = lambda: 0.2  # type: ignore[method-assign]  # nothing is kept

    async def life() -> None:
        disk = machine.life()
        disk.make_directory("member/wal")
        await disk.sync_directory("member")
        await disk.sync_directory(".")
        file = disk.create("member/wal/f")
        await disk.sync_directory("member/wal")
        machine.disk.state = DiskState(lying=True, area=area)
        file.write(0, b"c" * 4096)
        await file.sync()
        machine.disk.state = HEALTHY

    machine.run(life())
    assert machine.disk.lost_durable_data is lies
    machine.lose_power()
    assert (machine.life().read("member/wal/f") != b"c" * 4096) is lies


def test_the_lost_sectors_of_a_torn_write_show_after_a_power_loss() -> None:
    torn = 0
    for seed in range(20):
        machine = Machine(seed)
        machine.disk.state = DiskState(torn_percent=100, area="log")
        written_in_two_syncs(machine)
        assert machine.life().read("member/wal/f") == SYNCED
        machine.lose_power()
        found = machine.life().read("member/wal/f").ljust(2048, b"\0")
        torn += found != SYNCED
        for sector in range(4):
            assert set(found[sector * 512 : (sector + 1) * 512]) in ({0}, {ord("a")}, {ord("b")})
    assert torn > 10


def test_several_bits_rot_in_one_sector() -> None:
    machine = Machine(3)
    written_in_two_syncs(machine)
    machine.disk.rot("log", 64)
    found = machine.life().read("member/wal/f")
    changed = {at // 512 for at in range(2048) if found[at] != SYNCED[at]}
    assert len(changed) == 1


async def three_commits(machine: Machine, before_each: DiskState = HEALTHY) -> None:
    disk = machine.life()
    disk.make_directory(SNAPSHOTS)
    for path in ("member", "."):
        await disk.sync_directory(path)
    backend = disk.open_backend(BACKEND)
    for number in range(3):
        machine.disk.state = before_each
        backend.put(b"key", b"k%d" % number, b"value %d" % number)
        backend.put(b"meta", b"index", b"%d" % number)
        await backend.flush()
    machine.disk.state = HEALTHY
    backend.close()


def backend_state(machine: Machine) -> str:
    """Return the number of the commit that the backend contains, or "damaged".

    "damaged" means that it contains no commit completely.
    """
    backend = machine.life().open_backend(BACKEND)
    try:
        backend.check()
    except BackendDamaged:
        return "damaged"
    index = backend.get(b"meta", b"index")
    count = 0 if index is None else int(index) + 1
    assert [key for key, _ in backend.range(b"key", b"")] == [b"k%d" % at for at in range(count)]
    return str(count)


@pytest.mark.parametrize(
    ("state", "possible"),
    [
        (HEALTHY, {"3"}),
        (DiskState(lying=True, area="backend"), {"0", "1", "2", "3", "damaged"}),
        (DiskState(torn_percent=100, area="backend"), {"3", "damaged"}),
        (DiskState(misdirect_percent=100, area="backend"), {"3", "damaged"}),
        (DiskState(lying=True, misdirect_percent=100, torn_percent=100, area="log"), {"3"}),
    ],
)
def test_a_commit_that_the_disk_did_not_keep_is_noticed(
    state: DiskState, possible: set[str]
) -> None:
    found = set()
    for seed in range(40):
        machine = Machine(seed)
        machine.run(three_commits(machine, state))
        machine.lose_power()
        found.add(backend_state(machine))
    assert found <= possible
    assert ("damaged" in found) == ("damaged" in possible)


def test_lost_and_rotten_pairs_of_the_backend_are_noticed() -> None:
    lost = 0
    for seed in range(30):
        machine = Machine(seed, remembers=True)
        machine.run(three_commits(machine))
        lost += "key/" in machine.disk.lose_sectors("backend", 1)
        assert backend_state(machine) == "damaged"
        machine = Machine(seed)
        machine.run(three_commits(machine))
        machine.disk.rot("backend", 1)
        assert backend_state(machine) == "damaged"
    assert lost > 5
