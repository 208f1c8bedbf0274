"""Failpoints: what their terms mean, and what is said of terms that mean nothing."""

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
    """Records what failpoints do to it."""

    def __init__(self) -> None:
        self.random = Random(1)
        self.clock = self
        self.slept: list[float] = []
        self.crashes = 0
        self.stood_at: list[str] = []
        self.logged: list[tuple[str, str, dict[str, object]]] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def log(self, level: str, message: str, **fields: object) -> None:
        self.logged.append((level, message, fields))

    def crash(self) -> None:
        self.crashes += 1

    def stand_still(self, place: str) -> None:
        self.stood_at.append(place)


def reach(failpoints: Failpoints, name: str, times: int) -> list[str]:
    """What each visit ended in."""

    async def visit() -> str:
        try:
            await failpoints.reach(name)
        except FailpointError:
            return "error"
        return "on"

    return [asyncio.run(visit()) for _ in range(times)]


def test_there_is_one_before_and_one_after_each_step() -> None:
    assert len(FAILPOINTS) == 30
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
def test_a_term_acts_as_often_as_it_says(term: str, visits: list[str]) -> None:
    failpoints = Failpoints(Host(), {"before_leader_wal": term})
    assert reach(failpoints, "before_leader_wal", 3) == visits


def test_sleep_sleeps_by_the_members_own_clock_and_panic_crashes_the_member() -> None:
    host = Host()
    failpoints = Failpoints(host, {"after_replicate": "sleep(250)", "before_respond": "panic"})
    reach(failpoints, "after_replicate", 2)
    reach(failpoints, "before_respond", 1)
    assert host.slept == [0.25, 0.25]
    assert host.crashes == 1
    assert host.logged == [("fatal", PANICS, {"failpoint": "before_respond"})]


def test_a_member_told_to_pause_stands_still_at_the_failpoint_and_then_goes_on() -> None:
    host = Host()
    failpoints = Failpoints(host, {"before_leader_wal": "2#pause"})
    assert reach(failpoints, "before_leader_wal", 3) == ["on", "on", "on"]
    assert host.stood_at == ["before_leader_wal"]


def test_a_chance_of_half_acts_about_half_of_the_time() -> None:
    failpoints = Failpoints(Host(), {"before_respond": "50%error"})
    assert 70 < reach(failpoints, "before_respond", 200).count("error") < 130


def test_none_is_armed_until_one_is_set_and_after_all_are_cleared() -> None:
    failpoints = Failpoints(Host())
    assert not failpoints.armed
    failpoints.set("before_respond", "off")
    assert failpoints.armed
    assert failpoints.list() == {"before_respond": "off"}
    failpoints.clear("before_respond")
    assert not failpoints.armed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("explode", "is not a failpoint term"),
        ("sleep()", "is not a failpoint term"),
        ("sleep(600001)", "longer than"),
    ],
)
def test_a_term_that_means_nothing_is_named(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("before_nothing=off", "there is no failpoint 'before_nothing'"),
        ("before_respond", "expected NAME=TERM"),
    ],
)
def test_a_setting_that_sets_nothing_is_named(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_all(text)


def test_several_settings_are_separated_by_semicolons() -> None:
    assert parse_all(" before_respond=off ; after_replicate=2*panic->off ") == {
        "before_respond": "off",
        "after_replicate": "2*panic->off",
    }
