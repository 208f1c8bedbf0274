"""Each term of a failpoint has its effect, and malformed terms and settings give an error."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from splitbrain.node.failpoint import (
    FAILPOINTS,
    PANICS,
    FailpointError,
    Failpoints,
    parse,
    parse_all,
)


class Host:
    """Records the actions of failpoints."""

    def __init__(self) -> None:
        self.random = Random(1)
        self.clock = self
        self.slept: list[float] = []
        self.crashes = 0
        self.stopped_at: list[str] = []
        self.logged: list[tuple[str, str, dict[str, object]]] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def log(self, level: str, message: str, **fields: object) -> None:
        self.logged.append((level, message, fields))

    def crash(self) -> None:
        self.crashes += 1

    def stand_still(self, place: str) -> None:
        self.stopped_at.append(place)


def reach(failpoints: Failpoints, name: str, times: int) -> list[str]:
    """Reach the failpoint `times` times; returns "error" or "on" (continues) for each."""

    async def visit() -> str:
        try:
            await failpoints.reach(name)
        except FailpointError:
            return "error"
        return "on"

    return [asyncio.run(visit()) for _ in range(times)]


def test_each_step_has_a_failpoint_before_and_after_it() -> None:
    assert len(FAILPOINTS) == 34
    assert {"before_leader_wal", "after_respond", "before_backend_flush"} <= set(FAILPOINTS)
    assert {"before_snapshot_receive", "after_snapshot_restore"} <= set(FAILPOINTS)


@pytest.mark.parametrize(
    ("term", "visits"),
    [
        ("off", ["on", "on", "on"]),
        ("error", ["error", "error", "error"]),
        ("2*error", ["error", "error", "on"]),
        ("2#error", ["on", "error", "on"]),
        ("1*off->error", ["on", "error", "error"]),
        ("0%error", ["on", "on", "on"]),
    ],
)
def test_a_term_acts_as_often_as_its_prefix_specifies(term: str, visits: list[str]) -> None:
    failpoints = Failpoints(Host(), {"before_leader_wal": term})
    assert reach(failpoints, "before_leader_wal", 3) == visits


def test_sleep_uses_the_clock_of_the_member_and_panic_crashes_the_member() -> None:
    host = Host()
    failpoints = Failpoints(host, {"after_replicate": "sleep(250)", "before_respond": "panic"})
    reach(failpoints, "after_replicate", 2)
    reach(failpoints, "before_respond", 1)
    assert host.slept == [0.25, 0.25]
    assert host.crashes == 1
    assert host.logged == [("fatal", PANICS, {"failpoint": "before_respond"})]


def test_pause_stops_the_member_at_the_failpoint_and_then_continues() -> None:
    host = Host()
    failpoints = Failpoints(host, {"before_leader_wal": "2#pause"})
    assert reach(failpoints, "before_leader_wal", 3) == ["on", "on", "on"]
    assert host.stopped_at == ["before_leader_wal"]


def test_a_probability_of_half_acts_in_about_half_of_the_cases() -> None:
    failpoints = Failpoints(Host(), {"before_respond": "50%error"})
    assert 70 < reach(failpoints, "before_respond", 200).count("error") < 130


def test_failpoints_are_armed_only_while_a_term_is_set() -> None:
    failpoints = Failpoints(Host())
    assert not failpoints.armed
    failpoints.set("before_respond", "off")
    assert failpoints.armed
    assert failpoints.list() == {"before_respond": "off"}
    failpoints.clear("before_respond")
    assert not failpoints.armed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("explode", "is not a failpoint term"),
        ("sleep()", "is not a failpoint term"),
        ("sleep(600001)", "longer than"),
    ],
)
def test_a_malformed_term_is_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("before_nothing=off", "there is no failpoint 'before_nothing'"),
        ("before_respond", "expected NAME=TERM"),
    ],
)
def test_a_malformed_setting_is_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_all(text)


def test_several_settings_are_separated_by_semicolons() -> None:
    assert parse_all(" before_respond=off ; after_replicate=2*panic->off ") == {
        "before_respond": "off",
        "after_replicate": "2*panic->off",
    }
