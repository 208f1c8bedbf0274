"""Determines by one simulated run whether a schedule fails, and by which checkers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from splitbrain.harness.errors import SplitbrainError
from splitbrain.harness.judging.run_result import RunResult
from splitbrain.harness.runs.execute import INVARIANTS, execute_simulated
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.store.temporary import temporary_run_folder


@contextmanager
def temporary_run(schedule: Schedule, checker: str = "") -> Iterator[RunResult]:
    """Simulate `schedule` in a folder that exists only within the context.

    With `checker`, only that checker judges.
    """
    with temporary_run_folder() as folder:
        yield execute_simulated(schedule, folder, checker=checker)


def fails(schedule: Schedule, checker: str) -> bool:
    """Whether `checker` finds a run of `schedule` invalid.

    Returns False if the harness or the system fails.
    """
    try:
        with temporary_run(schedule, checker) as result:
            return checker in failing_checkers(result)
    except SplitbrainError:
        return False


def failing_checkers(result: RunResult) -> tuple[str, ...]:
    """The checkers that found the run invalid, with the invariants last.

    The invariants come last because they depend on the members' internal state, while the other
    checkers depend only on the history.
    """
    invalid = [one.checker for one in result.results.verdicts if one.valid is False]
    return tuple(sorted(invalid, key=lambda name: name == INVARIANTS))
