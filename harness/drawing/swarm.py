"""Swarm: each seed draws which faults, settings, weather and rare conditions are on at all.

A run with everything on finds less than many runs with a part each: one feature hides
what another would show. Source: Groce et al., "Swarm Testing", ISSTA 2012; the rare
conditions are FoundationDB's BUGGIFY.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from random import Random
from typing import Any

import msgspec

from splitbrain.harness.schedule.options import DEFAULTS, Options
from splitbrain.harness.simulation.network import Weather
from splitbrain.histories.random_stream import stream
from splitbrain.nemesis.catalogue import KINDS

BUGGIFIED_RUNS_PERCENT = 70
PLACE_ON_PERCENT = 50
"""Of the named places in the member, in a run that has any of them on."""
PLACE_FIRES_PERCENT = (2, 10, 25, 60)
"""Of the times that a place is come to: one of these, for each place that is on."""
LOSSY_FIRES_PERCENT_MAX = 25
LOSSY = ("a frame finds its queue full", "the inbox is full")
"""Where more than so many messages lost leave no cluster to test."""
FIRST_VISITS = 6
FIRST_VISITS_FIRE_PERCENT = 50
"""A place that a run comes to seldom, such as a member's start, fires all the same."""
KIND_WEIGHTS: Mapping[str, int] = {
    "kill": 4, "pause": 2, "partition": 7, "latency": 1, "power": 4, "clock": 1, "drift": 1,
    "disk": 2, "step": 6,
}
"""How often a kind of fault is among those of a run."""
OF_PROCESSES = ("kill", "pause", "partition", "latency", "power", "step")
"""Power is lost by processes, too, that hold back what they have not synced."""
KINDS_AT_ONCE = (1, 2, 2, 3, 3, 4)
"""How many kinds a run has: with more of them than these the cluster is mostly down, and
a run in which nothing is answered finds nothing."""
ELECTIONS = ((10, 100), (10, 100), (20, 200), (30, 300), (100, 1000))
"""Heartbeat and election timeout in ms: short ones give a short run many leaders."""
WORKLOADS = ("kv", "kv", "kv", "kv", "register", "register", "set", "watch", "watch", "append")
LONG_PERCENT = (0, 10, 60, 60)
"""Of the values that the workload kv puts: with many, a write to the log can be torn within
itself, and segments are soon full."""
NODES = (1, 3, 3, 3, 3, 3, 3, 4, 5, 5, 5)
"""One member shows what disks do, five show what three cannot, and of an even number half
is no majority."""
HOLDS_IN_ELECTIONS = (1.5, 3.0, 6.0)
"""How many election timeouts a fault holds, at least."""


class Surroundings(msgspec.Struct, frozen=True):
    """What a plan does not say: how members are set, and how their world behaves."""

    settings: Mapping[str, int | bool] = {}
    """Fields of `splitbrain.node.config.Config`."""
    weather: Weather = Weather()
    buggify: bool = False


USED_PERCENT: Mapping[str, int] = {"wal_segment_bytes": 65, "check_quorum": 55}
"""Of the runs, for a setting that is drawn; 40 if it is not named."""
SETTINGS: Mapping[str, int | bool] = {"wal_segment_bytes": 256 * 1024}
"""Segments of 64 MiB would make a simulated disk slow for nothing."""


def draw_surroundings(seed: int) -> Surroundings:
    chance = stream(seed, "swarm", "surroundings")
    return Surroundings(
        settings=_settings(chance),
        weather=_weather(chance),
        buggify=chance.random() * 100 < BUGGIFIED_RUNS_PERCENT,
    )


def _settings(chance: Random) -> dict[str, int | bool]:
    drawn: dict[str, int | bool] = dict(SETTINGS)
    # Only together do the two let a follower need a snapshot in a short run.
    short_log, count, kept = (
        chance.random() < 0.7, chance.choice((3, 3, 5, 10, 30)), chance.choice((1, 1, 3, 10))
    )
    if short_log:
        drawn |= {"snapshot_count": count, "catch_up_entries": kept}
    choices: dict[str, tuple[int | bool, ...]] = {
        "wal_segment_bytes": (4096, 4096, 16 * 1024),
        "snapshots_kept": (1, 1, 2),
        "backend_batch_interval_ms": (1, 10, 1000),
        "backend_batch_operations_max": (1, 5),
        "pre_vote": (False,),
        "check_quorum": (False,),
        "request_timeout_ms": (300, 1000),
    }
    for name, values in choices.items():
        # Each is drawn whether or not it is used, so that none shifts another.
        used, value = chance.random() * 100 < USED_PERCENT.get(name, 40), chance.choice(values)
        if used:
            drawn[name] = value
    return drawn


def _weather(chance: Random) -> Weather:
    delay_us = chance.choice(((80, 120), (80, 120), (500, 1500), (5_000, 10_000)))
    slow_percent = chance.choice((0.0, 0.02, 0.02, 1.0))
    loose = chance.random() < 0.4
    return Weather(
        delay_us=delay_us,
        slow_percent=slow_percent,
        loose=loose,
        # No duplicates: a forwarded proposal that arrived twice would be proposed twice,
        # in etcd as here. That frames arrive at most once is what a member may rely on
        # (`splitbrain.node.world.PeerLink`), and what TCP keeps.
        loss_percent=chance.choice((0.0, 1.0, 5.0)),
        reorder_percent=chance.choice((0.0, 5.0, 30.0)),
        # What waits for a disk is what a crash finds half done.
        sync_ms=chance.choice((0.0, 0.0, 0.0, 2.0, 15.0)),
        commit_ms=chance.choice((0.0, 5.0, 40.0, 200.0)),
        deposed_longer_by=chance.choice((0, 0, 20, 50, 100)),
    )


def draw_options(seed: int, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a run of the campaign is told besides what the user has given. Without `swarm`
    nothing is drawn that processes cannot suffer, too
    (`splitbrain.harness.shrinking.process_support`)."""
    chance = stream(seed, "swarm", "options")
    heartbeat_ms, election_ms = chance.choice(ELECTIONS)
    hold_ms = election_ms * chance.choice(HOLDS_IN_ELECTIONS)
    drawn: dict[str, Any] = {
        "system": "simulated",
        "swarm": True,
        "seed": seed,
        "nemesis": _kinds(chance, OF_PROCESSES if given.get("swarm") is False else KIND_WEIGHTS),
        "fault_pace": round(max(1000 / hold_ms, 0.5), 2),
        "workload": chance.choice(WORKLOADS),
        "clients": chance.choice((3, 5, 8, 15)),
        "rate": chance.choice((50.0, 100.0, 200.0)),
        "time_limit_s": chance.choice((5.0, 8.0, 12.0)),
        "follower_share": chance.choice((0.3, 0.7, 0.95)),
        "request_timeout_ms": chance.choice((200, 500, 2000)),
        "heartbeat_ms": heartbeat_ms,
        "election_ms": election_ms,
        "nodes": (chance.choice(NODES),),
        "quiet_timeout_ms": DEFAULTS.quiet_timeout_ms,
    }
    chosen = {**drawn, **given}
    if chosen["workload"] == "kv" and "workload_options" not in given:
        long_percent = stream(seed, "swarm", "long values").choice(LONG_PERCENT)
        chosen["workload_options"] = {"long_percent": long_percent}
    return chosen


def _kinds(chance: Random, among: Collection[str]) -> tuple[str, ...]:
    """In the order of the catalogue."""
    left = [kind for kind in KIND_WEIGHTS if kind in among]
    drawn: list[str] = []
    for _ in range(chance.choice(KINDS_AT_ONCE)):
        (kind,) = chance.choices(left, [KIND_WEIGHTS[one] for one in left])
        left.remove(kind)
        drawn.append(kind)
    return tuple(kind for kind in KINDS if kind in drawn)


class _Place:
    """A place that is on."""

    def __init__(self, chance: Random, percent: int) -> None:
        self._chance = chance
        self._percent = percent
        self._visits = 0

    def fires(self) -> bool:
        self._visits += 1
        early = self._visits <= FIRST_VISITS
        percent = max(self._percent, FIRST_VISITS_FIRE_PERCENT) if early else self._percent
        return self._chance.random() * 100 < percent


def _percent(chance: Random, place: str) -> int:
    percent = chance.choice(PLACE_FIRES_PERCENT)
    return min(percent, LOSSY_FIRES_PERCENT_MAX) if place in LOSSY else percent


class Buggify:
    """Named places of the member, on or off for a whole run, and firing now and then."""

    def __init__(self, seed: int, reached: Callable[[str], None], *, on: bool) -> None:
        self._seed = seed
        self.on = on
        self._places: dict[str, _Place | None] = {}
        self._reached = reached

    def fires(self, place: str) -> bool:
        if not self.on:
            return False
        if place not in self._places:
            chance = stream(self._seed, "buggify", place)
            on, percent = chance.random() * 100 < PLACE_ON_PERCENT, _percent(chance, place)
            self._places[place] = _Place(chance, percent) if on else None
        found = self._places[place]
        if found is None or not found.fires():
            return False
        self._reached(f"buggify: {place}")
        return True


def settings_of(options: Options, surroundings: Surroundings) -> dict[str, int | bool]:
    return {
        **SETTINGS,
        "heartbeat_ms": options.heartbeat_ms,
        "election_ms": options.election_ms,
        **surroundings.settings,
    }
