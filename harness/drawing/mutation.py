"""Changes a schedule at random. An adaptive campaign makes new schedules in this way.

Each mutation takes a schedule and a `Source`, and returns a changed schedule, or None if the change
is impossible. The module is pure: the same arguments give the same schedule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from msgspec.structs import replace

from splitbrain.checkers.model.request_parts import parts
from splitbrain.harness.drawing.swarm_options import draw_environment
from splitbrain.harness.schedule.schedule import (
    Schedule,
    TimedOperation,
    needed_settings,
    with_changes,
    with_operations,
    with_seed,
)
from splitbrain.histories.kv import Put, Txn
from splitbrain.nemesis.fault import AtStep, ScheduledFault
from splitbrain.nemesis.fault_drawing import draw_faults
from splitbrain.nemesis.fault_frequency import tempo_for

SEED_BITS = 32
KINDS_ADDED = (1, 1, 2)
FAULTS_ADDED_MAX = 4
PACES = (1.0, 2.0, 4.0, 8.0)
FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""The factors by which the duration of a moved fault changes."""
HOLD_MS_MIN = 10
SPLICED_WORKLOADS = ("kv", "register", "set", "watch")
"""The workloads in which operations of two schedules can be combined, because no operation depends
on the one before it. In the workload append, an operation depends on earlier ones."""


@dataclass(frozen=True, slots=True)
class Source:
    """The arguments of a mutation, in addition to the schedule.

    `random` makes the random choices. `kinds` are the kinds of faults that may be added. If `swarm`
    is False, network, disks and settings are not changed. `other` is another schedule of the
    campaign.
    """

    random: Random
    kinds: Sequence[str]
    swarm: bool
    other: Schedule


Mutation = Callable[[Schedule, Source], Schedule | None]


def add_faults(schedule: Schedule, source: Source) -> Schedule | None:
    """Add up to `FAULTS_ADDED_MAX` faults of one or two kinds."""
    random = source.random
    count = min(random.choice(KINDS_ADDED), len(source.kinds))
    drawn = draw_faults(
        random.getrandbits(SEED_BITS),
        random.sample(list(source.kinds), count),
        schedule.time_limit_ms,
        schedule.members,
        tempo=tempo_for(schedule.time_limit_ms, random.choice(PACES)),
        snapshots=source.swarm,
    )
    if not drawn:
        return None
    added = random.sample(drawn, min(len(drawn), random.randint(1, FAULTS_ADDED_MAX)))
    return _with_faults(schedule, (*schedule.faults, *added))


def remove_faults(schedule: Schedule, source: Source) -> Schedule | None:
    """Remove each fault with a probability of one half."""
    kept = tuple(one for one in schedule.faults if source.random.random() < 0.5)
    return None if len(kept) == len(schedule.faults) else _with_faults(schedule, kept)


def move_faults(schedule: Schedule, source: Source) -> Schedule | None:
    """Change the beginning and the duration of at least one fault."""
    faults = list(schedule.faults)
    free = [
        place for place, one in enumerate(faults)
        if not (isinstance(one.fault, AtStep) and one.fault.operation)
    ]
    if not free:
        return None
    for place in source.random.sample(free, source.random.randint(1, len(free))):
        faults[place] = _moved(faults[place], schedule.time_limit_ms, source.random)
    return _with_faults(schedule, faults)


def _moved(one: ScheduledFault, limit_ms: int, random: Random) -> ScheduledFault:
    begin_ms = random.randrange(max(limit_ms - HOLD_MS_MIN, 1))
    hold_ms = max(round((one.end_ms - one.begin_ms) * random.choice(FACTORS)), HOLD_MS_MIN)
    return replace(one, begin_ms=begin_ms, end_ms=min(begin_ms + hold_ms, limit_ms))


def change_seed(schedule: Schedule, source: Source) -> Schedule | None:
    """Change the seed of the schedule, which determines delays and other random values of the run.

    Operations and faults remain.
    """
    return with_seed(schedule, source.random.getrandbits(SEED_BITS))


def change_conditions(schedule: Schedule, source: Source) -> Schedule | None:
    """Draw one part of the conditions of the run anew.

    The part is one of these: the settings of the members, the network, the disks, the number of
    entries that are added to the logs of deposed leaders, or whether rare conditions inside the
    members are frequent. Returns None if nothing changes.
    """
    drawn = draw_environment(source.random.getrandbits(SEED_BITS))
    name = source.random.choice(("settings", "network", "disk", "deposed_longer_by", "buggify"))
    value: Any = not schedule.buggify if name == "buggify" else getattr(drawn, name)
    if name == "settings":
        value = {**drawn.settings, **needed_settings(schedule.faults, schedule.system)}
    if not source.swarm or value == getattr(schedule, name):
        return None
    return with_changes(schedule, **{name: value})


def splice_faults(schedule: Schedule, source: Source) -> Schedule | None:
    """Replace the faults after a random time by the later faults of `source.other`.

    Returns None if `source.other` has no faults that fit.
    """
    cut_ms = _cut_ms(schedule, source.random)
    later = [
        one for one in source.other.faults
        if cut_ms <= one.begin_ms and one.end_ms <= schedule.time_limit_ms
        and set(one.fault.on) <= set(schedule.members)
        and not (isinstance(one.fault, AtStep) and one.fault.operation)
    ]
    if not later:
        return None
    return _with_faults(
        schedule, (*(one for one in schedule.faults if one.begin_ms < cut_ms), *later)
    )


def splice_operations(schedule: Schedule, source: Source) -> Schedule | None:
    """Replace the operations after a random time by the later operations of `source.other`.

    Both schedules must have the same workload. Operations that write a value of an earlier
    operation are left out, because each value must be written only once. Returns None if no
    operation fits.
    """
    workload = schedule.options.workload
    if workload not in SPLICED_WORKLOADS or source.other.options.workload != workload:
        return None
    cut_us = _cut_ms(schedule, source.random) * 1000
    kept = {
        number: one for number, one in enumerate(schedule.operations, start=1)
        if one.at_us < cut_us
    }
    written = {value for one in kept.values() for value in _values(one)}
    later = [
        replace(one, operation=replace(
            one.operation, member=one.operation.member % len(schedule.members)
        ))
        for one in source.other.operations
        if cut_us <= one.at_us < schedule.time_limit_ms * 1000
        and one.client < schedule.options.clients and written.isdisjoint(_values(one))
    ]
    if not later:
        return None
    # The keys of `later` are not numbers of operations in `schedule`, so no fault refers to them.
    first = schedule.size[1] + 1
    return with_operations(schedule, {**kept, **dict(enumerate(later, start=first))})


def _values(one: TimedOperation) -> set[str]:
    """Return the values that an operation writes."""
    request = one.operation.request
    if not isinstance(request, Put | Txn):
        return set()
    return {part.value for part in parts(request) if isinstance(part, Put)}


def _cut_ms(schedule: Schedule, random: Random) -> int:
    return round(schedule.time_limit_ms * random.uniform(0.1, 0.9))


def _with_faults(schedule: Schedule, faults: Sequence[ScheduledFault]) -> Schedule:
    ordered = sorted(faults, key=lambda one: (one.begin_ms, one.end_ms))
    return with_changes(schedule, faults=tuple(ordered))


MUTATIONS: Mapping[str, Mutation] = {
    "faults added": add_faults,
    "faults removed": remove_faults,
    "faults moved": move_faults,
    "another seed": change_seed,
    "other conditions": change_conditions,
    "faults spliced": splice_faults,
    "operations spliced": splice_operations,
}
"""The mutations, by the names that the output of a campaign shows."""
