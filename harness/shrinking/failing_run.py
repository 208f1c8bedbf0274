"""Simulates a schedule to determine whether it fails, and which checkers find it invalid."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from splitbrain.harness.errors import BadArguments, SplitbrainError
from splitbrain.harness.judging.run_result import RunResult
from splitbrain.harness.runs.execute import INVARIANTS, execute_simulated
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.shrinking.sent_operations import sent_operations
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.harness.store.temporary_folder import temporary_run_folder
from splitbrain.histories.history import History


@contextmanager
def temporary_run(schedule: Schedule, checker: str = "") -> Iterator[RunResult]:
    """Simulate `schedule`, and yield the result. The folder of the run is removed afterwards.

    If `checker` is not empty, only this checker and the invariants judge the run.
    """
    with temporary_run_folder() as folder:
        yield execute_simulated(schedule, folder, checker=checker)


@dataclass(frozen=True, slots=True)
class Failure:
    """The time and the operations of the first anomaly of a failing run.

    The search first tries schedules that keep these operations, because the failure probably needs
    them.
    """

    at_ms: int | None
    """The time in ms, since the load began, at which the last operation of the anomaly ended. An
    anomaly of the invariants names no operation; then it is the time at which the last operation of
    the load ended. None if there is no such operation."""
    operations: frozenset[int]
    """The numbers of the operations in the schedule that the anomaly names."""


def first_failure(schedule: Schedule, expected: str = "") -> tuple[str, Failure]:
    """Simulate `schedule`, and return a checker that finds the run invalid, and the `Failure`.

    If `expected` is the name of a checker, the result is this checker. If `expected` is "", the
    result is the first checker that finds the run invalid. Raises BadArguments if `expected` does
    not find the run invalid, or if no checker does.
    """
    with temporary_run(schedule) as run:
        found = failing_checkers(run)
        if not found:
            raise BadArguments(
                "nothing to shrink: a simulated run of this schedule is not invalid; give a "
                "schedule that fails in simulation"
            )
        if expected and expected not in found:
            raise BadArguments(
                f"a run of this schedule is invalid by {', '.join(found)}, not by {expected}"
            )
        checker = expected or found[0]
        return checker, _failure(schedule, run, checker)


def failure_of(schedule: Schedule, checker: str) -> Failure | None:
    """Simulate `schedule`, and return the failure that `checker` finds in the run.

    Returns None if `checker` does not find the run invalid, or if the run itself could not be
    completed.
    """
    try:
        with temporary_run(schedule, checker) as result:
            if checker not in failing_checkers(result):
                return None
            return _failure(schedule, result, checker)
    except SplitbrainError:
        return None


def _failure(schedule: Schedule, result: RunResult, checker: str) -> Failure:
    folder = RunFolder(result.folder)
    sent = sent_operations(schedule, History.read(folder.history))
    load_ns = next((one.begin for one in folder.read_record().phases if one.name == "load"), 0)
    if checker == INVARIANTS:
        ends = [one.end for one in sent]
        return Failure(_ms_after(load_ns, ends), frozenset())
    (verdict,) = [one for one in result.results.verdicts if one.checker == checker]
    named = set(verdict.anomalies[0].events) if verdict.anomalies else set()
    shown = [one for one in sent if named.intersection(one.events)]
    return Failure(
        _ms_after(load_ns, [one.end for one in shown]), frozenset(one.number for one in shown)
    )


def _ms_after(begin_ns: int, ends_ns: list[int]) -> int | None:
    """Return the time in ms from `begin_ns` to the last of `ends_ns`, rounded up.

    Returns None if `ends_ns` is empty.
    """
    return -(-(max(ends_ns) - begin_ns) // 1_000_000) if ends_ns else None


def fails(schedule: Schedule, checker: str) -> bool:
    """Simulate `schedule`, and return whether `checker` finds the run invalid.

    Returns False if the run itself could not be completed.
    """
    return failure_of(schedule, checker) is not None


def failing_checkers(result: RunResult) -> tuple[str, ...]:
    """Return the checkers that found the run invalid, with `invariants` last.

    A search for a smaller schedule uses the first of these checkers. The invariants are the last
    choice, because only simulation checks them. The other checkers can also judge real processes.
    """
    invalid = [one.checker for one in result.results.verdicts if one.valid is False]
    return tuple(sorted(invalid, key=lambda name: name == INVARIANTS))
