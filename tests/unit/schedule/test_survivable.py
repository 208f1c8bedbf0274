"""Storage faults are survivable if they leave a correct member enough data on a majority."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from splitbrain.harness.drawing.schedule_drawing import draw_swarm_schedule
from splitbrain.harness.schedule.schedule import (
    Schedule,
    has_plain_environment,
    with_plain_environment,
)
from splitbrain.harness.schedule.survivable_storage_faults import is_survivable
from splitbrain.harness.schedule.text import parse_schedule


def schedule(*faults: str, members: str = "n1 n2 n3", sealed: bool = True) -> Schedule:
    setting = "setting seal_log true" if sealed else ""
    lines = ("seed 1", f"members {members}", setting, *faults, "lasts 1000 ms")
    return parse_schedule("\n".join(lines))


ROT = '100 ms  rot n1 {"area":"log"} until 101 ms'


@pytest.mark.parametrize("survivable", [
    schedule(),
    schedule('100 ms  disk all {"full":true} until 200 ms', sealed=False),
    schedule(ROT),
    schedule(ROT, '300 ms  lost n1 {"area":"log"} until 301 ms', "400 ms  kill n2 until 500 ms"),
    schedule(ROT, '300 ms  rot n2 {"area":"seal"} until 301 ms', members="n1 n2 n3 n4 n5"),
])
def test_storage_faults_on_one_area_of_a_minority_are_survivable(survivable: Schedule) -> None:
    assert is_survivable(survivable)


@pytest.mark.parametrize("fatal", [
    schedule(ROT, sealed=False),
    schedule(ROT, members="n1 n2"),
    schedule(ROT, '300 ms  rot n2 {"area":"log"} until 301 ms'),
    schedule(ROT, '300 ms  disk n1 {"lying":true,"area":"seal"} until 400 ms'),
    schedule("100 ms  rot n1 until 101 ms"),
    schedule('100 ms  rot leader {"area":"log"} until 101 ms'),
])
def test_other_storage_faults_are_not(fatal: Schedule) -> None:
    assert not is_survivable(fatal)


def test_drawn_schedules_are_survivable_and_seal_the_log_where_that_is_needed() -> None:
    sealed = []
    for seed in range(60):
        drawn = draw_swarm_schedule(seed, {"nemesis": ("kill", "disk", "storage")})
        assert is_survivable(drawn)
        sealed.append(drawn.settings.get("seal_log", False))
        assert sealed[-1] == (len(drawn.members) > 2)
    assert set(sealed) == {True, False}


def test_the_plain_environment_of_storage_faults_seals_the_log() -> None:
    plain = with_plain_environment(replace(schedule(ROT), buggify=True))
    assert plain.settings["seal_log"] is True
    assert has_plain_environment(plain)
    assert "seal_log" not in with_plain_environment(schedule()).settings
