"""Simulates a schedule twice, and compares the two runs, which must be equal byte for byte."""

from __future__ import annotations

import multiprocessing

from splitbrain.harness.judging.run_result import RunResult
from splitbrain.harness.runs.execute import execute, execute_simulated
from splitbrain.harness.runs.safe_module_path import safe_path
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.store.temporary_folder import temporary_run_folder

Repeated = tuple[RunResult, str | None]
"""The result of the first run, and the first event in which the second run differs, or None."""


def execute_twice(schedule: Schedule) -> Repeated:
    """Simulate `schedule` twice, and compare the two runs.

    Only the first run is kept, with a report. Returns the result of the first run, and the first
    event in which the two runs differ (None if they are equal). A schedule with a planted bug is
    executed in a separate process, because a planted bug cannot be removed from a process. Raises
    BadArguments for a schedule that cannot be run.
    """
    if not schedule.options.mutant:
        return _execute_twice(schedule)
    with safe_path(), multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_execute_twice, (schedule,))


def _execute_twice(schedule: Schedule) -> Repeated:
    result = execute(schedule)
    return result, difference(result, schedule)


def difference(result: RunResult, schedule: Schedule) -> str | None:
    """Run `schedule` again, and return the first event that differs from the run of `result`.

    Returns None if the digests of the two runs are equal.
    """
    from splitbrain.harness.simulation.digest import first_difference

    with temporary_run_folder() as other:
        again = execute_simulated(schedule, other)
        if again.digest == result.digest:
            return None
        found = first_difference(result.folder, other.path, schedule.members)
        return found or f"digest {result.digest} and then {again.digest}"
