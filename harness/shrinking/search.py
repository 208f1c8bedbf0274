"""Searches for the smallest schedule that still fails by the same checker.

The search is delta debugging over the parts of a schedule (Zeller and Hildebrandt, "Simplifying and
Isolating Failure-Inducing Input", 2002). A reduction is a function that yields candidates, which
are smaller schedules. The candidates of each reduction are simulated in turn. A candidate that
still fails replaces the schedule. The search ends when no reduction makes the schedule smaller.

The search has three stages. The first one uses what the failing run showed. The second one tries
few candidates that remove large parts, because runs of a large schedule are slow. The third one
tries to remove each single part.

Random values that are drawn during a simulated run, such as delays, change when the schedule gets
smaller. A candidate may therefore not fail, although it contains all that the failure needs. If
runs are short, the third stage also tries such a candidate with a few other seeds. The resulting
schedule can therefore have another seed than the original one.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from splitbrain.harness.schedule.schedule import Schedule, with_seed
from splitbrain.harness.schedule.survivable_storage_faults import is_survivable
from splitbrain.harness.shrinking.anomaly_reductions import (
    GuidedReduction,
    ended_after_anomaly,
    last_faults,
    operations_of_anomaly,
)
from splitbrain.harness.shrinking.failing_run import Failure, failure_of, first_failure
from splitbrain.harness.shrinking.reductions import (
    Reduction,
    closer_together,
    earlier_ends,
    far_fewer_faults,
    far_fewer_operations,
    faults_for_environment,
    fewer_clients,
    fewer_faults,
    fewer_members,
    fewer_operations,
    fewer_watchers,
    half_the_clients,
    plain_environment,
    plainer_environment,
    plainer_faults,
    quicker_conclusions,
    rounder_times,
    shorter_holds,
    shorter_watchers,
    simpler_operations,
)
from splitbrain.harness.shrinking.shorter_values import shorter_values
from splitbrain.harness.shrinking.target_resolution import resolve_targets

GUIDED: tuple[GuidedReduction, ...] = (
    ended_after_anomaly, operations_of_anomaly, last_faults, ended_after_anomaly,
)
COARSE: tuple[Reduction, ...] = (
    shorter_values, quicker_conclusions, earlier_ends, far_fewer_operations, half_the_clients,
    plain_environment, far_fewer_faults, fewer_watchers, faults_for_environment,
)
"""The reductions of the second stage. Operations come before faults, because they determine how
long a run takes."""
FINE: tuple[Reduction, ...] = (
    shorter_values, fewer_faults, fewer_operations, fewer_watchers, shorter_watchers,
    fewer_clients, fewer_members, plainer_environment, plainer_faults, simpler_operations,
    closer_together, shorter_holds, earlier_ends, rounder_times,
)
OTHER_SEEDS = 2
"""If runs are short, a candidate is also tried with this many other seeds."""
SHORT_RUNS = 300
"""Runs are called short if the budget is enough for this many of them."""
BUDGET_S = 60.0

OnSmaller = Callable[[Schedule, int], None]
"""A function that is called with each smaller schedule, and with the number of schedules tried so
far."""


@dataclass(frozen=True, slots=True)
class ShrinkResult:
    """The smallest schedule that was found. Its run is invalid by the same checker."""

    schedule: Schedule
    tries: int
    """The number of schedules that were simulated."""
    wall_s: float
    minimal: bool
    """Whether the search ended because no reduction made the schedule smaller. If it is False, the
    budget or Ctrl-C ended the search, and a longer search may find a smaller schedule."""


def shrink(
    schedule: Schedule,
    checker: str = "",
    budget_s: float = BUDGET_S,
    on_smaller: OnSmaller = lambda _, __: None,
) -> ShrinkResult:
    """Search for a smaller schedule whose run `checker` still finds invalid.

    If `checker` is "", the checker `schedule.fails_by` is used. If `fails_by` is "" too, the first
    checker that finds the run of `schedule` invalid is used. `on_smaller` is called with each
    smaller schedule. The search ends after `budget_s` seconds of wall-clock time, at Ctrl-C, or
    when no reduction makes the schedule smaller. Raises BadArguments if the run of `schedule`
    itself is not found invalid.
    """
    began = time.monotonic()
    checker, failure = first_failure(schedule, checker or schedule.fails_by)
    search = _Search(
        replace(schedule, fails_by=checker), failure, budget_s=budget_s, began=began,
        on_smaller=on_smaller,
    )
    # After Ctrl-C the result is the smallest schedule found so far, as after the budget.
    with contextlib.suppress(KeyboardInterrupt):
        search.run_guided()
        search.run(COARSE, other_seeds=0)
        search.run_guided()
        search.attempt(resolve_targets(search.smallest))
        search.run(FINE, other_seeds=OTHER_SEEDS)
        search.attempt(resolve_targets(search.smallest))
    return ShrinkResult(
        search.smallest, search.tries, time.monotonic() - began, minimal=search.complete
    )


class _Search:
    """The state of a search: the smallest failing schedule, and the schedules that were tried."""

    def __init__(
        self, schedule: Schedule, failure: Failure, *, budget_s: float, began: float,
        on_smaller: OnSmaller,
    ) -> None:
        self.smallest = schedule
        self.tries = 0
        self.complete = False
        """Whether the last round tried all candidates, and none of them failed."""
        self._failure = failure
        self._budget_s, self._deadline = budget_s, began + budget_s
        self._on_smaller = on_smaller
        self._run_s = time.monotonic() - began
        self._tried: set[bytes] = set()
        self._survivable = is_survivable(schedule)

    def run_guided(self) -> None:
        """Try once each reduction that uses the time and the operations of the anomaly."""
        for reduction in GUIDED:
            for candidate in reduction(self.smallest, self._failure):
                if self._late or self.attempt(candidate):
                    break

    def run(self, reductions: Sequence[Reduction], other_seeds: int) -> None:
        """Apply all reductions in turn, again and again, until none makes the schedule smaller."""
        self.complete = False
        while sum(self._reduce(one, other_seeds) for one in reductions):
            pass
        self.complete = not self._late

    @property
    def _late(self) -> bool:
        return time.monotonic() > self._deadline

    @property
    def _runs_are_short(self) -> bool:
        return self._run_s * SHORT_RUNS < self._budget_s

    def _reduce(self, reduction: Reduction, other_seeds: int) -> bool:
        """Apply one reduction as often as possible. Return whether it made the schedule smaller.

        When a candidate fails, it becomes the smallest schedule, and the reduction continues with
        the candidates of this schedule. It does not begin with the first of them: if candidate
        number 5 has failed, it continues with candidate number 5 of the new schedule. The
        candidates before it resemble those that were tried without success, so most of them would
        not fail.
        """
        reduced = False
        position = 0
        while True:
            found = self._next(reduction, position, other_seeds)
            if found is None:
                return reduced
            position, reduced = found, True

    def _next(self, reduction: Reduction, position: int, other_seeds: int) -> int | None:
        """Try the candidates of `reduction`, from number `position` on, until one still fails.

        Returns the number of that candidate. Returns None if no candidate fails, or if the time is
        over. If runs are short, each candidate is also tried with `other_seeds` other seeds.
        """
        for place, candidate in enumerate(reduction(self.smallest)):
            if place < position:
                continue
            for schedule in _seeds(candidate, other_seeds if self._runs_are_short else 0):
                if self._late:
                    return None
                if self.attempt(schedule):
                    return place
        return None

    def attempt(self, schedule: Schedule) -> bool:
        """Simulate `schedule`. If it fails, make it the smallest schedule and return True.

        Returns False if `schedule` does not fail, if it was tried before, or if the run would fail
        even with correct members.
        """
        mark = fingerprint(schedule)
        if mark in self._tried or (self._survivable and not is_survivable(schedule)):
            return False
        self._tried.add(mark)
        self.tries += 1
        began = time.monotonic()
        failure = failure_of(schedule, schedule.fails_by)
        self._run_s = time.monotonic() - began
        if failure is None:
            return False
        self.smallest, self._failure = schedule, failure
        self._on_smaller(schedule, self.tries)
        return True


def _seeds(schedule: Schedule, others: int) -> Iterator[Schedule]:
    """Yield `schedule`, and `others` copies of it with other seeds."""
    yield schedule
    for seed in range(1, others + 1):
        if seed != schedule.seed:
            yield with_seed(schedule, seed)


def fingerprint(schedule: Schedule) -> bytes:
    """Return the encoded schedule. Equal schedules have equal fingerprints."""
    return msgspec.msgpack.encode(schedule)
