"""Looks for the smallest schedule that still fails by the same checker.

Delta debugging over the schedule's parts (Zeller and Hildebrandt, "Simplifying and
Isolating Failure-Inducing Input", 2002): each reduction's candidates are tried in turn,
the first that still fails takes the schedule's place, and all begins anew until nothing
more can go. A smaller schedule shifts what chance decides in the world around it, so
that one which fails no more is also tried with some other seeds: what is looked for is
a small schedule, not this seed's.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
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
from splitbrain.harness.shrinking.target_resolution import resolved

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
"""How many other seeds a candidate is tried with, once runs are short."""
BUDGET_S = 60.0


@dataclass(frozen=True, slots=True)
class Shrunk:
    """`schedule` fails by `schedule.fails_by`; `tries` runs in `wall_s` found it."""

    schedule: Schedule
    tries: int
    wall_s: float


def shrink(
    schedule: Schedule,
    checker: str = "",
    budget_s: float = BUDGET_S,
    told: Callable[[Schedule, int], None] = lambda _, __: None,
) -> Shrunk:
    """The smallest found within `budget_s` seconds of wall time, or until a Ctrl-C.

    `checker`: whose verdict must stay invalid; "": the schedule's own, or the first that
    blames it. `told` hears of each smaller one, and how many were tried. Raises
    BadArguments if the schedule does not fail.
    """
    began = time.monotonic()
    checker = failing_checker(schedule, checker or schedule.fails_by)
    search = _Search(replace(schedule, fails_by=checker), began + budget_s, told)
    # A Ctrl-C ends the search as its budget does: the smallest so far is what was found.
    with contextlib.suppress(KeyboardInterrupt):
        search.until_nothing_goes(COARSE, other_seeds=0)
        search.take(resolved(search.smallest))
        search.until_nothing_goes(FINE, other_seeds=OTHER_SEEDS)
        search.take(resolved(search.smallest))
    return Shrunk(search.smallest, search.tries, time.monotonic() - began)


def failing_checker(schedule: Schedule, wanted: str = "") -> str:
    """The checker that finds a run of `schedule` invalid. Raises BadArguments if none
    does, or not the one that is wanted."""
    with temporary_run(schedule) as run:
        found = failing_checkers(run)
    if not found:
        raise BadArguments(
            "nothing to shrink: a simulated run of this schedule is not invalid; give one that is"
        )
    if wanted and wanted not in found:
        raise BadArguments(f"a run of this schedule is invalid by {', '.join(found)}, "
                           f"not by {wanted}")
    return wanted or found[0]


class _Search:
    def __init__(
        self, schedule: Schedule, give_up_at: float, told: Callable[[Schedule, int], None]
    ) -> None:
        self.smallest = schedule
        self.tries = 0
        self._give_up_at = give_up_at
        self._told = told
        self._tried: set[bytes] = set()

    def until_nothing_goes(self, reductions: tuple[Reduction, ...], other_seeds: int) -> None:
        went = True
        while went:
            # Each in turn, also after one that went.
            went = sum(self._reduce(one, other_seeds) for one in reductions) > 0

    def _reduce(self, reduction: Reduction, other_seeds: int) -> bool:
        """Whether it made anything smaller. After each step it begins with the candidates
        that come next, not anew: what did not go before will mostly not go now."""
        went = False
        position = 0
        while True:
            found = self._next(reduction, position, other_seeds)
            if found is None:
                return went
            position, went = found, True

    def _next(self, reduction: Reduction, position: int, other_seeds: int) -> int | None:
        """Where the first candidate from `position` on stood that still fails."""
        for place, candidate in enumerate(reduction(self.smallest)):
            if place < position:
                continue
            for schedule in _seeds(candidate, other_seeds):
                if time.monotonic() > self._give_up_at:
                    return None
                if self.take(schedule):
                    return place
        return None

    def take(self, schedule: Schedule) -> bool:
        """Go on with `schedule`, if it fails and was not tried before."""
        mark = fingerprint(schedule)
        if mark in self._tried:
            return False
        self._tried.add(mark)
        self.tries += 1
        if not fails(schedule, schedule.fails_by):
            return False
        self.smallest = schedule
        self._told(schedule, self.tries)
        return True


def _seeds(schedule: Schedule, others: int) -> Iterator[Schedule]:
    yield schedule
    for seed in range(1, others + 1):
        if seed != schedule.seed:
            yield with_seed(schedule, seed)


def fingerprint(schedule: Schedule) -> bytes:
    return msgspec.msgpack.encode(schedule)
