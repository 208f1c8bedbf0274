"""Simulated seconds a second: an idle cluster, one under load and faults, and two cores.

The clock is this process's CPU time, which a shared machine spoils less than wall time;
what wall time gave is noted beside it.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from splitbrain.harness.campaign.campaign import campaign
from splitbrain.harness.drawing.draw import draw_schedule
from splitbrain.harness.runs.execute import execute_simulated
from splitbrain.harness.schedule.options import Options, read_options
from splitbrain.harness.store.temporary import temporary_run_folder
from tests.benchmarks.figure import Figure, load_average, middle

SEEDS = (1, 2, 3, 4, 5)
IDLE_LIMIT_S = 300.0
LOADED: Mapping[str, Any] = {
    "system": "simulated", "nodes": (3,), "clients": 5, "rate": 100.0, "time_limit_s": 60.0,
    "workload": "kv",
    "nemesis": ("kill", "pause", "partition", "latency", "power", "clock", "drift", "disk"),
}
CAMPAIGN: Mapping[str, Any] = {"system": "simulated", "time_limit_s": 10.0}
CAMPAIGN_SEEDS = 100
IDLE_AT_LEAST, LOADED_AT_LEAST, SCALING_AT_LEAST = 500.0, 25.0, 1.8


def run() -> list[Figure]:
    return [idle(), loaded(), scaling()]


def idle() -> Figure:
    """Three members with a leader and nothing to do."""
    wanted = {
        **LOADED, "nemesis": (), "clients": 1, "rate": 1e-9, "time_limit_s": IDLE_LIMIT_S,
        "availability_bound_ms": 10**9,  # nobody asks for anything
    }
    return _rate("simulated s per s, idle cluster of 3", wanted, IDLE_AT_LEAST)


def loaded() -> Figure:
    """Five clients of 20 operations a second each, faults on, judging included."""
    return _rate(
        "simulated s per s, 3 members, 5 clients x 20 op/s, faults, judged", LOADED,
        LOADED_AT_LEAST,
    )


def _rate(name: str, wanted: Mapping[str, Any], at_least: float) -> Figure:
    _once(read_options({**wanted, "time_limit_s": 2.0}), 0)  # what is imported on the way
    rates, walls, operations = [], [], 0
    for seed in SEEDS:
        simulated_s, cpu_s, wall_s, done = _once(read_options(wanted), seed)
        rates.append(simulated_s / cpu_s)
        walls.append(simulated_s / wall_s)
        operations += done
    return Figure(
        name=name,
        unit="s/CPU s",
        value=middle(rates),
        samples=tuple(round(one, 1) for one in rates),
        bound=at_least,
        notes={
            "by wall time": round(middle(walls), 1),
            "operations": operations,
            "load average": load_average(),
        },
    )


def _once(options: Options, seed: int) -> tuple[float, float, float, int]:
    """Simulated s, CPU s and wall s of one run, drawn, driven and judged; its operations."""
    with temporary_run_folder() as folder:
        cpu, wall = time.process_time(), time.perf_counter()
        schedule = draw_schedule(msgspec.structs.replace(options, seed=seed))
        done = execute_simulated(schedule, folder)
        cpu_s, wall_s = time.process_time() - cpu, time.perf_counter() - wall
        assert done.valid is not False, done.results.verdicts
        assert done.simulated is not None
        counts = done.results.operations.get("all", {})
        return done.simulated.simulated_s, cpu_s, wall_s, sum(counts.values())


def scaling() -> Figure:
    """The same seeds by two workers and by one: how many times as quick.

    On a shared machine wall time says little; the CPU time that two workers took in all,
    beside one's, says what sharing the work costs: 2 if nothing.
    """
    one_wall, one_cpu = _campaign(workers=1)
    two_wall, two_cpu = _campaign(workers=2)
    return Figure(
        name=f"{CAMPAIGN_SEEDS} seeds, 2 workers against 1",
        unit="times",
        value=one_wall / two_wall,
        bound=SCALING_AT_LEAST,
        notes={
            "by CPU time": round(2 * one_cpu / two_cpu, 2),
            "wall s": f"{one_wall:.1f} and {two_wall:.1f}",
            "CPU s": f"{one_cpu:.1f} and {two_cpu:.1f}",
            "load average": load_average(),
        },
    )


def _campaign(workers: int) -> tuple[float, float]:
    cpu, wall = _cpu_s(), time.perf_counter()
    results = list(campaign(range(CAMPAIGN_SEEDS), CAMPAIGN, workers))
    assert len(results) == CAMPAIGN_SEEDS
    return time.perf_counter() - wall, _cpu_s() - cpu


def _cpu_s() -> float:
    """Of this process and of its children that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)
