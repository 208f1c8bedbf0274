"""Does a schedule still fail, and by the same checker? One simulated run each."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from splitbrain.harness.campaign.campaign import quick_folder
from splitbrain.harness.errors import SplitbrainError
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.simulation.run import INVARIANTS, Simulated, simulate


@contextmanager
def run_in_passing(schedule: Schedule, checker: str = "") -> Iterator[Simulated]:
    """A run whose folder is gone afterwards. `checker`: judge by that one alone."""
    with tempfile.TemporaryDirectory(prefix="splitbrain-", dir=quick_folder()) as folder:
        yield simulate(
            schedule.options, schedule.plan, Path(folder), schedule.surroundings, only=checker
        )


def fails(schedule: Schedule, checker: str) -> bool:
    """Whether `checker` finds a run of `schedule` invalid. A run that breaks off does not
    fail: it shows nothing."""
    try:
        with run_in_passing(schedule, checker) as run:
            return checker in blamed(run)
    except SplitbrainError:
        return False


def blamed(run: Simulated) -> tuple[str, ...]:
    """The checkers that found it invalid; those that see the history before the ones that
    see the members' inside."""
    wrong = [one.checker for one in run.result.results.verdicts if one.valid is False]
    return tuple(sorted(wrong, key=lambda name: name == INVARIANTS))
