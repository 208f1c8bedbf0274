"""Searches for the smallest schedule that fails by the same checker.

This is delta debugging over the parts of a schedule (Zeller and Hildebrandt, "Simplifying and
Isolating Failure-Inducing Input", 2002). The candidates of each reduction are tried in turn. A
candidate that still fails replaces the schedule. The search ends when no reduction makes the
schedule smaller.

All draws during a simulated run, such as delays, change when the schedule becomes smaller, and a
candidate may stop failing only for that reason. Therefore a candidate that does not fail is also
tried with a few other seeds. The result may have another seed than the original schedule.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.schedule import Schedule, with_seed
from splitbrain.harness.shrinking.failure import failing_checkers, fails, temporary_run
from splitbrain.harness.shrinking.reductions import (
    Reduction,
    closer_together,
    earlier_ends,
    far_fewer_operations,
    faults_for_environment,
    fewer_clients,
    fewer_faults,
    fewer_members,
    fewer_operations,
    fewer_watchers,
    plainer_environment,
    plainer_faults,
    quicker_conclusions,
    rounder_times,
    shorter_holds,
    shorter_watchers,
    simpler_operations,
)
from splitbrain.harness.shrinking.target_resolution import resolve_targets

COARSE: tuple[Reduction, ...] = (
    quicker_conclusions, earlier_ends, plainer_environment, fewer_faults, plainer_faults,
    far_fewer_operations, fewer_watchers, faults_for_environment,
)
FINE: tuple[Reduction, ...] = (
    fewer_faults, fewer_operations, fewer_watchers, shorter_watchers, fewer_clients,
    fewer_members, plainer_environment, plainer_faults, simpler_operations, closer_together,
    shorter_holds, earlier_ends, rounder_times,
)
OTHER_SEEDS = 2
"""The number of other seeds that a candidate is tried with, when runs are short."""
BUDGET_S = 60.0

OnSmaller = Callable[[Schedule, int], None]
"""Called with each smaller schedule, and the number of schedules tried so far."""


@dataclass(frozen=True, slots=True)
class ShrinkResult:
    """The smallest schedule found. It fails by `schedule.fails_by`."""

    schedule: Schedule
    tries: int
    """The number of simulated runs."""
    wall_s: float


def shrink(
    schedule: Schedule,
    checker: str = "",
    budget_s: float = BUDGET_S,
    on_smaller: OnSmaller = lambda _, __: None,
) -> ShrinkResult:
    """Search for a smaller schedule that `checker` still finds invalid.

    The search ends after `budget_s` seconds of wall time, at Ctrl-C, or when no reduction makes the
    schedule smaller. The default of `checker` is the schedule's `fails_by`, or the first checker
    that finds the schedule invalid. Raises BadArguments if the schedule does not fail.
    """
    began = time.monotonic()
    checker = failing_checker(schedule, checker or schedule.fails_by)
    search = _Search(replace(schedule, fails_by=checker), began + budget_s, on_smaller)
    # After Ctrl-C the result is the smallest schedule found so far, as after the budget.
    with contextlib.suppress(KeyboardInterrupt):
        search.run(COARSE, other_seeds=0)
        search.attempt(resolve_targets(search.smallest))
        search.run(FINE, other_seeds=OTHER_SEEDS)
        search.attempt(resolve_targets(search.smallest))
    return ShrinkResult(search.smallest, search.tries, time.monotonic() - began)


def failing_checker(schedule: Schedule, expected: str = "") -> str:
    """Simulate `schedule` and return a checker that finds the run invalid.

    Returns `expected` if it is given, and otherwise the first such checker. Raises BadArguments if
    no checker finds the run invalid, or if `expected` is given and does not find it invalid.
    """
    with temporary_run(schedule) as run:
        found = failing_checkers(run)
    if not found:
        raise BadArguments(
            "nothing to shrink: a simulated run of this schedule is not invalid; give a schedule "
            "that fails in simulation"
        )
    if expected and expected not in found:
        raise BadArguments(
            f"a run of this schedule is invalid by {', '.join(found)}, not by {expected}"
        )
    return expected or found[0]


class _Search:
    """The state of a search: the smallest failing schedule, and the schedules that were tried."""

    def __init__(self, schedule: Schedule, deadline: float, on_smaller: OnSmaller) -> None:
        self.smallest = schedule
        self.tries = 0
        self._deadline = deadline
        self._on_smaller = on_smaller
        self._tried: set[bytes] = set()

    def run(self, reductions: Sequence[Reduction], other_seeds: int) -> None:
        """Apply all reductions in turn, until a round makes the schedule no smaller."""
        while sum(self._reduce(one, other_seeds) for one in reductions):
            pass

    def _reduce(self, reduction: Reduction, other_seeds: int) -> bool:
        """Apply one reduction as often as possible. Returns whether it was applied at least once.

        After a success the search continues with the next candidates. The earlier candidates are
        not tried again, because most of them would still not fail.
        """
        reduced = False
        position = 0
        while True:
            found = self._next(reduction, position, other_seeds)
            if found is None:
                return reduced
            position, reduced = found, True

    def _next(self, reduction: Reduction, position: int, other_seeds: int) -> int | None:
        """The position of the first candidate, from `position` on, that still fails."""
        for place, candidate in enumerate(reduction(self.smallest)):
            if place < position:
                continue
            for schedule in _seeds(candidate, other_seeds):
                if time.monotonic() > self._deadline:
                    return None
                if self.attempt(schedule):
                    return place
        return None

    def attempt(self, schedule: Schedule) -> bool:
        """Simulate `schedule`, and continue the search with it if it fails.

        Returns False if `schedule` does not fail, or was tried before.
        """
        mark = fingerprint(schedule)
        if mark in self._tried:
            return False
        self._tried.add(mark)
        self.tries += 1
        if not fails(schedule, schedule.fails_by):
            return False
        self.smallest = schedule
        self._on_smaller(schedule, self.tries)
        return True


def _seeds(schedule: Schedule, others: int) -> Iterator[Schedule]:
    """`schedule`, and copies of it with `others` other seeds."""
    yield schedule
    for seed in range(1, others + 1):
        if seed != schedule.seed:
            yield with_seed(schedule, seed)


def fingerprint(schedule: Schedule) -> bytes:
    """The encoded schedule: equal for equal schedules."""
    return msgspec.msgpack.encode(schedule)
