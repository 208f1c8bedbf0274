"""A simulated run and its repetition: the two must not differ in a byte."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable
from pathlib import Path

from splitbrain.harness.campaign.campaign import quick_folder
from splitbrain.harness.judging.judge import RunResult
from splitbrain.harness.runs.execute import run_sync
from splitbrain.harness.runs.schedule_run import run_schedule
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.schedule.plan import read_plan
from splitbrain.harness.schedule.schedule import Schedule, schedule_of
from splitbrain.harness.schedule.text import parse_schedule
from splitbrain.harness.simulation.digest import first_difference
from splitbrain.harness.simulation.run import simulate

Twice = tuple[RunResult, str | None]
"""The first run, and the first event in which the second differs; None: it does not."""


def run_twice(options: Options) -> Twice:
    """Run what `options` draw, with a report, and once more without. One with a planted bug
    is run in a process of its own, since the bug stays in the process that had it."""
    return _apart(options.mutant, _drawn_twice, options)


def _drawn_twice(options: Options) -> Twice:
    result = run_sync(options)
    plan = read_plan(result.folder / "plan.json")
    return result, difference(result, schedule_of(options, plan))


def run_schedule_twice(schedule: Schedule | str, store: str) -> Twice:
    """The same for a schedule, or one as text. Raises BadArguments."""
    if isinstance(schedule, str):
        schedule = parse_schedule(schedule)
    return _apart(schedule.options.mutant, _twice, schedule, store)


def _apart(mutant: str, run: Callable[..., Twice], *arguments: object) -> Twice:
    """`run` it, in a process of its own if a bug is planted."""
    if not mutant:
        return run(*arguments)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(run, arguments)


def _twice(schedule: Schedule, store: str) -> Twice:
    result = run_schedule(schedule, store)
    return result, difference(result, schedule)


def difference(result: RunResult, schedule: Schedule) -> str | None:
    """What a further run of `schedule` does otherwise than `result`'s did."""
    with tempfile.TemporaryDirectory(prefix="splitbrain-", dir=quick_folder()) as folder:
        other = Path(folder)
        again = simulate(schedule.options, schedule.plan, other, schedule.surroundings)
        if again.digest == result.digest:
            return None
        found = first_difference(result.folder, other, schedule.plan.members)
        return found or f"digest {result.digest} and then {again.digest}"
