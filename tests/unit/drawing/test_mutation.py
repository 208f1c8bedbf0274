"""Changes of schedules: each result is a schedule that can be run, saved and read again."""

from __future__ import annotations

from random import Random

import pytest

from splitbrain.harness.drawing.mutation import MUTATIONS, Source
from splitbrain.harness.drawing.schedule_drawing import draw_swarm_schedule
from splitbrain.harness.schedule.schedule import Schedule, TimedOperation, fixed
from splitbrain.harness.schedule.text import as_text, parse_schedule
from splitbrain.histories.kv import Put
from splitbrain.nemesis.fault_kinds import KINDS

SHORT = {"system": "simulated", "time_limit_s": 3.0, "rate": 50.0}


def drawn(seed: int, **given: object) -> Schedule:
    return fixed(draw_swarm_schedule(seed, {**SHORT, **given}))


def source(seed: int, *, swarm: bool = True, **given: object) -> Source:
    return Source(
        random=Random(seed), kinds=tuple(KINDS), swarm=swarm, other=drawn(seed + 1_000, **given)
    )


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_changed_schedule_differs_and_is_read_back_from_its_text(name: str) -> None:
    changed = 0
    for seed in range(25):
        schedule = drawn(seed)
        found = MUTATIONS[name](schedule, source(seed))
        if found is None:
            continue
        changed += found != schedule
        assert parse_schedule(as_text(found)) == found
        assert found.members == schedule.members
        assert all(0 <= one.begin_ms <= one.end_ms for one in found.faults)
    assert changed >= 5


@pytest.mark.parametrize("name", MUTATIONS)
def test_the_same_random_stream_gives_the_same_change(name: str) -> None:
    schedule = drawn(3)
    assert MUTATIONS[name](schedule, source(3)) == MUTATIONS[name](schedule, source(3))


def test_without_swarm_the_conditions_stay() -> None:
    change = MUTATIONS["other conditions"]
    assert all(change(drawn(seed), source(seed, swarm=False)) is None for seed in range(5))


@pytest.mark.parametrize("workload", ["kv", "set", "register", "watch"])
def test_spliced_operations_write_each_value_once(workload: str) -> None:
    spliced = 0
    for seed in range(10):
        schedule = drawn(seed, workload=workload)
        found = MUTATIONS["operations spliced"](schedule, source(seed, workload=workload))
        if found is None:
            continue
        spliced += 1
        values = [
            one.operation.request.value for one in found.operations
            if isinstance(one.operation.request, Put)
        ]
        assert len(values) == len(set(values))
        both = {*map(_request, schedule.operations), *map(_request, source(
            seed, workload=workload).other.operations)}
        assert {_request(one) for one in found.operations} <= both
    assert spliced >= 5


def test_operations_of_another_workload_are_not_spliced() -> None:
    splice = MUTATIONS["operations spliced"]
    assert splice(drawn(1, workload="kv"), source(1, workload="set")) is None
    assert splice(drawn(1, workload="append"), source(1, workload="append")) is None


def test_only_the_given_kinds_are_added() -> None:
    for seed in range(10):
        schedule = drawn(seed, nemesis=[])
        only = Source(random=Random(seed), kinds=("power",), swarm=True, other=schedule)
        found = MUTATIONS["faults added"](schedule, only)
        assert found is None or {type(one.fault).__name__ for one in found.faults} == {"PowerLoss"}


def _request(one: TimedOperation) -> str:
    return repr(one.operation.request)
