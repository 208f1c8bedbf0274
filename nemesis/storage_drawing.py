"""Draws the storage faults of a run, which change or lose data that disks reported as durable.

Raft needs a majority whose disks keep the data that they report as durable. Therefore the faults of
a run hit a fixed minority of the members. On each of these members, they hit only one area of the
disk, because faults in two areas would be two independent faults. For example, a member that has
lost its log and the seal of the log (the record of its durable end) cannot know what it has
acknowledged.

Most of these faults show only when the member reads its disk again. Therefore each of them is
followed by a power loss of the same member. A kill would not be enough, because it keeps the page
cache. If the fault has also changed the page cache, a kill sometimes replaces the power loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random

from splitbrain.nemesis.disk_fault import BitRot, DiskArea, DiskFault, LostSectors
from splitbrain.nemesis.fault import Fault, Kill, PowerLoss, ScheduledFault
from splitbrain.nemesis.fault_frequency import Tempo
from splitbrain.nemesis.fault_target import MemberName

AREA_WEIGHTS: dict[DiskArea, int] = {
    "log": 5, "backend": 4, "seal": 2, "snapshots": 2, "starts": 1,
}
SHORTEST_MS = 4
"""The shortest time from a fault to the end of the kill or power loss that follows it."""
RARELY_WRITTEN: tuple[DiskArea, ...] = ("snapshots", "starts")
"""Areas that are written so rarely that a fault with a probability for each write would seldom have
an effect."""


def draw_storage_faults(
    members: Sequence[MemberName], random: Random, duration_ms: int, tempo: Tempo
) -> Iterator[ScheduledFault]:
    """Yield the storage faults of a run, for a random minority of the members.

    A cluster of one or two members has no minority, and so no storage faults.
    """
    minority = (len(members) - 1) // 2
    if not minority:
        return
    for victim in random.sample(members, random.randint(1, minority)):
        (area,) = random.choices(list(AREA_WEIGHTS), list(AREA_WEIGHTS.values()))
        yield from _time_line(victim, area, random, duration_ms, tempo)


def _time_line(
    victim: MemberName, area: DiskArea, random: Random, duration_ms: int, tempo: Tempo
) -> Iterator[ScheduledFault]:
    """Yield the faults of the member `victim`, one after the other, after a short gap."""
    tail_begin_ms = duration_ms - tempo.tail_ms
    now_ms = random.randint(tempo.gap_ms[0] // 3, max(tempo.gap_ms[1] // 2, tempo.gap_ms[0] // 3))
    while now_ms + max(tempo.hold_ms[0], SHORTEST_MS) <= tail_begin_ms:
        hold_ms = max(random.randint(*tempo.hold_ms), SHORTEST_MS)
        end_ms = min(now_ms + hold_ms, tail_begin_ms)
        yield from _loss_and_outage(victim, area, random, now_ms, end_ms)
        now_ms = end_ms + max(random.randint(*tempo.gap_ms), 1)


def _loss_and_outage(
    victim: MemberName, area: DiskArea, random: Random, begin_ms: int, end_ms: int
) -> Iterator[ScheduledFault]:
    at_once = (_rot, _lost)
    draws = at_once if area in RARELY_WRITTEN else (*at_once, _lying, _misdirecting, _tearing)
    fault = random.choice(draws)(victim, area, random)
    middle_ms = (begin_ms + end_ms) // 2
    outage_ms = random.randint(begin_ms + 1, middle_ms)
    # Lying syncs have an effect only if the power is lost during the fault.
    healed_ms = outage_ms + 1 if isinstance(fault, DiskFault) else begin_ms + 1
    yield ScheduledFault(begin_ms, healed_ms, fault, random.getrandbits(48))
    outage: Fault = PowerLoss("any", on=(victim,))
    shows_in_the_cache = isinstance(fault, BitRot) or getattr(fault, "misdirect_percent", 0) > 0
    if shows_in_the_cache and random.random() < 0.4:
        outage = Kill("any", on=(victim,))
    yield ScheduledFault(outage_ms, end_ms, outage, random.getrandbits(48))


Draw = Callable[[MemberName, DiskArea, Random], Fault]


def _rot(victim: MemberName, area: DiskArea, random: Random) -> Fault:
    return BitRot("any", area, random.choice((1, 1, 3, 64)), on=(victim,))


def _lost(victim: MemberName, area: DiskArea, random: Random) -> Fault:
    return LostSectors("any", area, random.choice((1, 1, 2, 8)), on=(victim,))


def _lying(victim: MemberName, area: DiskArea, _: Random) -> Fault:
    return DiskFault("any", lying=True, area=area, on=(victim,))


def _misdirecting(victim: MemberName, area: DiskArea, random: Random) -> Fault:
    percent = random.choice((2.0, 10.0, 50.0))
    return DiskFault("any", misdirect_percent=percent, area=area, on=(victim,))


def _tearing(victim: MemberName, area: DiskArea, random: Random) -> Fault:
    return DiskFault(
        "any", torn_percent=random.choice((2.0, 10.0, 50.0)), area=area, on=(victim,)
    )
