"""Measures how many simulated seconds one CPU second gives, and the speed-up by two workers.

Runs without faults and runs under faults are measured. The benchmark divides by the CPU time of
this process, which depends less on other processes than wall time does. The notes contain the
figure by wall time.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Mapping
from statistics import median
from typing import Any

import msgspec

from splitbrain.harness.drawing.schedule_drawing import draw_schedule
from splitbrain.harness.runs.execute import execute_simulated
from splitbrain.harness.schedule.options import Options, read_options
from splitbrain.harness.seeds.seed_runs import campaign
from splitbrain.harness.store.temporary_folder import temporary_run_folder
from tests.benchmarks.figure import Figure, load_average

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
    """Three members with a leader and without requests."""
    values = {
        **LOADED, "nemesis": (), "clients": 1, "rate": 1e-9, "time_limit_s": IDLE_LIMIT_S,
        "availability_bound_ms": 10**9,  # there are no requests to answer
    }
    return _rate("simulated time per CPU time, idle cluster of 3", values, IDLE_AT_LEAST)


def loaded() -> Figure:
    """Five clients with 20 operations per second each, faults, and judging."""
    return _rate(
        "simulated time per CPU time, 3 members, 5 clients with 20/s each, faults, judged", LOADED,
        LOADED_AT_LEAST,
    )


def _rate(name: str, values: Mapping[str, Any], at_least: float) -> Figure:
    _measure_run(read_options({**values, "time_limit_s": 2.0}), 0)  # loads modules; not measured
    rates, walls, operations = [], [], 0
    for seed in SEEDS:
        simulated_s, cpu_s, wall_s, done = _measure_run(read_options(values), seed)
        rates.append(simulated_s / cpu_s)
        walls.append(simulated_s / wall_s)
        operations += done
    return Figure(
        name=name,
        unit="s / CPU s",
        value=median(rates),
        samples=tuple(round(one, 1) for one in rates),
        bound=at_least,
        notes={
            "simulated s per wall s": round(median(walls), 1),
            "operations": operations,
            "load average": load_average(),
        },
    )


def _measure_run(options: Options, seed: int) -> tuple[float, float, float, int]:
    """Draw, execute and judge one run.

    Returns its simulated seconds, CPU seconds, wall seconds and number of operations.
    """
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
    """Wall time of a campaign with one worker, divided by that with two workers.

    On a shared machine wall time is not reliable. The note "speed-up by CPU time" estimates the
    speed-up on two idle cores from CPU time: it is 2 if the distribution of the work is free.
    """
    one_wall, one_cpu = _campaign(workers=1)
    two_wall, two_cpu = _campaign(workers=2)
    return Figure(
        name=f"speed-up of a campaign of {CAMPAIGN_SEEDS} seeds, 2 workers over 1",
        unit="ratio",
        value=one_wall / two_wall,
        bound=SCALING_AT_LEAST,
        notes={
            "speed-up by CPU time": round(2 * one_cpu / two_cpu, 2),
            "wall s, 1 and 2 workers": f"{one_wall:.1f} and {two_wall:.1f}",
            "CPU s, 1 and 2 workers": f"{one_cpu:.1f} and {two_cpu:.1f}",
            "load average": load_average(),
        },
    )


def _campaign(workers: int) -> tuple[float, float]:
    """Wall seconds and CPU seconds of a campaign with `workers` processes."""
    cpu, wall = _cpu_s(), time.perf_counter()
    results = list(campaign(range(CAMPAIGN_SEEDS), CAMPAIGN, workers))
    assert len(results) == CAMPAIGN_SEEDS
    return time.perf_counter() - wall, _cpu_s() - cpu


def _cpu_s() -> float:
    """CPU seconds of this process and of its children that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)
