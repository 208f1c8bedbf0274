"""Storage faults hit a minority, one area of each disk, and show by an outage of the member."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from splitbrain.nemesis.disk_fault import DISK_AREAS, BitRot, DiskFault, LostSectors
from splitbrain.nemesis.fault import Kill, PowerLoss, ScheduledFault
from splitbrain.nemesis.fault_drawing import draw_faults

seeds = st.integers(0, 2**64)
Loss = BitRot | DiskFault | LostSectors


def drawn(seed: int, count: int, duration_ms: int = 20_000) -> tuple[ScheduledFault, ...]:
    members = tuple(f"n{number}" for number in range(1, count + 1))
    return draw_faults(seed, ("storage",), duration_ms, members)


def losses(scheduled: tuple[ScheduledFault, ...]) -> list[ScheduledFault]:
    return [one for one in scheduled if isinstance(one.fault, Loss)]


@given(seeds, st.integers(1, 7))
def test_storage_faults_hit_fixed_members_that_are_a_minority(seed: int, count: int) -> None:
    scheduled = drawn(seed, count)
    assert all(len(one.fault.on) == 1 for one in scheduled)
    victims = {one.fault.on[0] for one in scheduled}
    assert len(victims) * 2 < count or not victims
    assert bool(victims) == (count > 2)


@given(seeds, st.integers(3, 7))
def test_the_storage_faults_of_a_member_hit_one_area_of_its_disk(seed: int, count: int) -> None:
    areas = defaultdict(set)
    for one in losses(drawn(seed, count)):
        assert isinstance(one.fault, Loss)
        areas[one.fault.on].add(one.fault.area)
    assert all(len(found) == 1 and found <= set(DISK_AREAS) for found in areas.values())


@given(seeds)
def test_each_storage_fault_is_followed_by_an_outage_of_the_member(seed: int) -> None:
    scheduled = drawn(seed, 3)
    outages = [one for one in scheduled if isinstance(one.fault, PowerLoss | Kill)]
    found = losses(scheduled)
    assert len(outages) == len(found) > 0
    for loss, outage in zip(found, outages, strict=True):
        assert loss.begin_ms < outage.begin_ms < outage.end_ms
        assert outage.begin_ms <= loss.end_ms or not isinstance(loss.fault, DiskFault)
        hides_in_the_cache = isinstance(loss.fault, LostSectors) or (
            isinstance(loss.fault, DiskFault) and not loss.fault.misdirect_percent
        )
        assert isinstance(outage.fault, PowerLoss) or not hides_in_the_cache


def test_every_kind_of_loss_is_drawn_for_every_area_that_is_written_often() -> None:
    found = defaultdict(set)
    for seed in range(400):
        for one in losses(drawn(seed, 3)):
            fault = one.fault
            assert isinstance(fault, Loss)
            kind = type(fault).__name__
            if isinstance(fault, DiskFault):
                kind = "lying" if fault.lying else "torn" if fault.torn_percent else "misdirected"
            found[fault.area].add(kind)
    everything = {"BitRot", "LostSectors", "lying", "torn", "misdirected"}
    assert found["log"] == found["backend"] == found["seal"] == everything
    assert found["snapshots"] == found["starts"] == {"BitRot", "LostSectors"}
