"""Measures the speed-up of campaigns by two local workers, and by a local cluster of Dask.

The figures are runs per second, divided by those of one process. All three do the same jobs. The
first jobs start the workers and load their modules, and are not measured. On a shared machine wall
time is not reliable: the note "by CPU time" is the speed-up on two idle cores that the CPU time of
all processes allows. It is 2 if the distribution of the work is free.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from splitbrain.harness.campaign.dask_workers import LOCAL, in_dask
from splitbrain.harness.campaign.job import Job
from splitbrain.harness.campaign.process_workers import (
    Finished,
    NextJob,
    in_processes,
    in_this_process,
)
from tests.benchmarks.figure import Figure, load_average

RUNS = int(os.environ.get("SPLITBRAIN_BENCHMARK_RUNS", "200"))
FIRST = 6
"""The jobs that are not measured."""
WORKERS = 2
LOCAL_AT_LEAST, DASK_AT_LEAST = 1.9, 1.8

Arm = Callable[[NextJob], Generator[Finished, None, None]]


def run() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        one = measure(in_this_process)
        local = measure(lambda jobs: in_processes(jobs, WORKERS))
        dask = measure(lambda jobs: in_dask(jobs, LOCAL, WORKERS, Path(folder)))
    return [
        _figure("2 local workers", one, local, LOCAL_AT_LEAST),
        _figure("a local cluster of Dask with 2 workers", one, dask, DASK_AT_LEAST),
    ]


def _figure(
    name: str, one: tuple[float, float], two: tuple[float, float], bound: float
) -> Figure:
    return Figure(
        name=f"runs per second of {name}, over one process", unit="ratio",
        value=one[0] / two[0], bound=bound,
        notes={
            "by CPU time": round(WORKERS * one[1] / two[1], 3), "runs": RUNS,
            "wall s": f"{one[0]:.1f} and {two[0]:.1f}", "CPU s": f"{one[1]:.1f} and {two[1]:.1f}",
            "load average": load_average(),
        },
    )


def jobs() -> Iterator[Job]:
    for number in range(1, FIRST + RUNS + 1):
        given = {"system": "simulated", "time_limit_s": 5.0, "nodes": [3]}
        yield Job(campaign="benchmark", number=number, seed=number, given=given)


def measure(arm: Arm) -> tuple[float, float]:
    """Wall seconds and CPU seconds of the runs after the first ones."""
    left = jobs()
    began = used = 0.0
    results = arm(lambda: next(left, None))
    for finished, _ in enumerate(results, start=1):
        if finished == FIRST:
            began, used = time.perf_counter(), cpu_s()
        if finished == FIRST + RUNS:
            # The workers are alive here.
            wall, cpu = time.perf_counter() - began, cpu_s() - used
    return wall, cpu


def cpu_s() -> float:
    """CPU seconds of this process and of all processes below it that are alive."""
    total = 0.0
    for one in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        with suppress(psutil.Error):
            times = one.cpu_times()
            total += times.user + times.system
    return total
