"""Simulates the runs of an adaptive campaign, and saves the schedules of failed runs."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from splitbrain.harness.adaptive.scheduler import AdaptiveScheduler, Attempt
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.command_line import shown
from splitbrain.harness.schedule.options import DEFAULTS
from splitbrain.harness.schedule.schedule import SIMULATED
from splitbrain.harness.schedule.text import SUFFIX, write_schedule
from splitbrain.harness.seeds.seed_runs import SeedResult, run_schedule
from splitbrain.harness.seeds.worker_processes import results_of_jobs

FOLDER = "adaptive"
"""The folder in the store that contains the schedules of runs that were not valid."""

Find = tuple[Attempt, SeedResult]


def adaptive_campaign(
    scheduler: AdaptiveScheduler, runs: int | None = None, workers: int = 1
) -> Iterator[Find]:
    """Simulate the runs that `scheduler` chooses, and yield each with its result when it ends.

    If `runs` is None, the campaign has no end. With several workers, the scheduler chooses a run
    before the results of the runs in progress are known. The campaign then depends on the order in
    which runs end.
    """
    numbers = range(runs) if runs is not None else count()
    attempts = (scheduler.attempt() for _ in numbers)
    for attempt, result in results_of_jobs(_run, attempts, workers):
        scheduler.add(attempt, result)
        yield attempt, result


def _run(attempt: Attempt) -> SeedResult:
    return run_schedule(attempt.schedule)


def saving(
    runs: Iterator[Find], given: Mapping[str, Any], seed: int
) -> Iterator[SeedResult]:
    """Yield the results of `runs`, and save the schedule of each run that is not valid.

    The file is `STORE/adaptive/NAME-SEED-NUMBER.schedule`, where NAME is the planted bug or
    `simulated`, and SEED is the seed of the campaign. The field `reproduce` of the result contains
    the command that runs the file.
    """
    folder = Path(given.get("store", DEFAULTS.store)) / FOLDER
    name = f"{given.get('mutant') or SIMULATED}-{seed}"
    for attempt, result in runs:
        yield result if result.valid else _saved(attempt, result, folder, name)


def _saved(attempt: Attempt, result: SeedResult, folder: Path, name: str) -> SeedResult:
    path = folder / f"{name}-{attempt.number}{SUFFIX}"
    schedule = replace(attempt.schedule, fails_by=next(iter(result.found_by), ""))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_schedule(schedule, path, result.because)
    except OSError as problem:
        raise BadArguments(f"{path} cannot be written: {problem.strerror or problem}") from problem
    return replace(result, reproduce=shlex.join(["splitbrain", "sim", "--schedule", shown(path)]))
