"""Simulates many seeds, on several cores. The folder of each run is temporary."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.pool import Pool
from types import FrameType
from typing import Any

import msgspec

from splitbrain.harness.drawing.schedule_drawing import draw_swarm_schedule
from splitbrain.harness.runs.execute import execute_simulated
from splitbrain.harness.runs.safe_module_path import safe_path
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.store.temporary_folder import in_use, temporary_run_folder


class SeedResult(msgspec.Struct, frozen=True):
    """The result of the simulated run of one seed."""

    seed: int
    valid: bool | None
    digest: str
    simulated_s: float
    wall_s: float
    found_by: tuple[str, ...] = ()
    """The checkers whose verdict is invalid."""
    because: str = ""
    """The first anomaly of each checker, or the reason why the verdict is unknown."""
    conditions: dict[str, int] = {}
    """How often each condition was reached. A condition is a situation in
    `splitbrain.harness.simulation.coverage`, such as an election."""
    first_reached_s: dict[str, float] = {}
    """The virtual time at which each reached condition was first reached, in the order of these
    times. A condition is a situation such as an election."""
    operations: dict[str, int] = {}
    """The number of operations by outcome."""
    events: int = 0
    """The number of event-loop callbacks that the simulation ran, which measures its cost."""
    reproduce: str = ""
    """The command that repeats the run; "" means `splitbrain sim` with the seed."""


def run_seed(seed: int, given: Mapping[str, Any]) -> SeedResult:
    """Draw and simulate the run of `seed`. The options in `given` replace drawn ones."""
    return run_schedule(draw_swarm_schedule(seed, given))


def run_schedule(schedule: Schedule) -> SeedResult:
    """Simulate `schedule` in a temporary folder."""
    began = time.perf_counter()
    with temporary_run_folder() as folder:
        result = execute_simulated(schedule, folder)
    facts = result.simulated
    assert facts is not None
    verdicts = result.results.verdicts
    invalid = [one for one in verdicts if one.valid is False]
    unknown = [f"{one.checker}: {one.why}" for one in verdicts if one.valid is None]
    anomalies = "; ".join(
        f"{one.checker}: {one.anomalies[0].because}" for one in invalid if one.anomalies
    )
    return SeedResult(
        seed=schedule.seed, valid=result.valid, digest=result.digest, simulated_s=facts.simulated_s,
        wall_s=time.perf_counter() - began, found_by=tuple(one.checker for one in invalid),
        because=anomalies or "; ".join(unknown) or result.error, conditions=dict(facts.conditions),
        first_reached_s=dict(facts.first_reached_s), events=facts.events,
        operations=dict(result.results.operations.get("all", {})),
    )


def campaign(
    seeds: Iterable[int], given: Mapping[str, Any], workers: int = 1
) -> Iterator[SeedResult]:
    """Simulate a run for each of `seeds`, and yield the results in the order in which runs end.

    `workers` is the number of processes. With one worker, the results are in the order of `seeds`.
    The options in `given` are the same in all runs; the seed determines the others.
    """
    if workers == 1:
        for seed in seeds:
            yield run_seed(seed, given)
        return
    with worker_pool(workers) as pool:
        yield from pool.imap_unordered(_job, ((seed, dict(given)) for seed in seeds))


@contextmanager
def worker_pool(workers: int) -> Iterator[Pool]:
    """Start `workers` processes that can simulate runs, and end them at the end of the context."""
    context = multiprocessing.get_context("forkserver")
    # The fork server imports the modules once, so that the workers do not import them again.
    context.set_forkserver_preload([
        "splitbrain.harness.seeds.seed_runs", "splitbrain.harness.simulation.simulate",
        "splitbrain.checkers.catalogue",
    ])
    with safe_path(), context.Pool(workers, prepare_worker) as pool:
        yield pool


def prepare_worker() -> None:
    """Ignore Ctrl-C in a worker process, and handle SIGTERM.

    On Ctrl-C, the main process of the campaign sends SIGTERM to its workers. Each worker then
    removes the folder of its run.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, remove_folders_and_exit)


def remove_folders_and_exit(number: int, _frame: FrameType | None) -> None:
    """Remove the folder of the run, and end this process.

    This function handles SIGTERM in worker processes.
    """
    # An exception is not enough: during garbage collection it is ignored, and the worker would
    # continue.
    for folder in in_use:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(128 + number)


def _job(job: tuple[int, dict[str, Any]]) -> SeedResult:
    return run_seed(*job)


def hunt(
    results: Iterator[SeedResult],
    budget_s: float,
    on_result: Callable[[SeedResult], None] = lambda _: None,
) -> tuple[SeedResult | None, int, float]:
    """Take results from `results` until one of them is invalid.

    The search also ends after `budget_s` seconds of wall-clock time. `on_result` is called with
    each result. Returns the invalid result (None if no run was invalid), the number of results
    taken, and the wall-clock time in s.
    """
    began = time.monotonic()
    tried = 0
    while time.monotonic() - began < budget_s:
        result = next(results)
        tried += 1
        on_result(result)
        if result.valid is False:
            return result, tried, time.monotonic() - began
    return None, tried, time.monotonic() - began
