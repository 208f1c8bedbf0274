"""Simulates many seeds, on several cores. The folder of each run is temporary."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from splitbrain.harness.drawing.schedule_drawing import draw_swarm_schedule
from splitbrain.harness.runs.execute import execute_simulated
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.seeds.worker_processes import results_of_jobs
from splitbrain.harness.store.temporary_folder import temporary_run_folder


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
    options = dict(given)
    jobs = ((seed, options) for seed in seeds)
    for _, result in results_of_jobs(_job, jobs, workers, ahead=workers):
        yield result


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
