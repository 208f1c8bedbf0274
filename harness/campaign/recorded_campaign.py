"""Runs a campaign that is recorded: budgets, interruptions and groups of failures.

Each run is logged when it begins and when it ends (`splitbrain.harness.store.campaign_folder`), and
is added to the database of runs. After an interruption, or if the process was killed, the campaign
continues with the runs that have no end in the log.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from splitbrain.harness.campaign.job import Job, Outcome
from splitbrain.harness.campaign.process_workers import Finished, NextJob
from splitbrain.harness.failures.grouping import grouped
from splitbrain.harness.schedule.text import SUFFIX, write_schedule
from splitbrain.harness.store.campaign_folder import (
    Begun,
    CampaignFolder,
    CampaignLog,
    Ended,
)
from splitbrain.harness.store.database.database import add_runs, open_database
from splitbrain.harness.store.failure_groups import Group, Groups

SCHEDULES_PER_SIGNATURE_MAX = 3
"""The maximal number of failing schedules that are kept of each signature. The other runs can be
repeated from their seeds."""


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """The limits that end a campaign. None means no limit."""

    runs: int | None = None
    """The number of runs of the campaign, including those before an interruption."""
    seconds: float | None = None
    finds: int | None = None
    """The number of groups of failures that are not accepted."""


class JobSource(Protocol):
    """Chooses the runs of a campaign, as jobs for workers."""

    def next(self) -> Job | None:
        """Return the next run as a job; None if there is none."""
        ...

    def add(self, job: Job, ended: Ended) -> None:
        """Receive the result of a run. Results are passed in the order of the log."""
        ...


Execute = Callable[[NextJob], Generator[Finished, None, None]]
"""Runs jobs on workers: a function of `splitbrain.harness.campaign.process_workers`."""


@dataclass(frozen=True, slots=True)
class Progressed:
    """A run that has ended, and the group of failures that it began, if any."""

    ended: Ended
    new_group: Group | None
    """The group of failures that this run began; None if it began none."""


class RecordedCampaign:
    """The campaign in `folder`. `done` contains the runs that have ended, by their numbers."""

    def __init__(self, store: Path, folder: CampaignFolder, source: JobSource) -> None:
        self._store, self._folder, self._source = store, folder, source
        self.done = folder.ended()
        self.groups = Groups(store)
        self.found: set[str] = set()
        """The names of the groups of the failures that this campaign found."""
        self._kept: dict[str, int] = {}
        self._begun = len(self.done)
        for ended in self.done.values():
            group = self.groups.of(ended.signature) if ended.signature else None
            self.found |= {group.name} if group else set()
            self._count_kept(ended)

    @property
    def new_finds(self) -> list[Group]:
        """The groups of failures that this campaign found and that are not accepted."""
        found = [one for one in self.groups.all() if one.name in self.found]
        return [one for one in found if not one.known()]

    def run(self, budget: Budget, execute: Execute) -> Iterator[Progressed]:
        """Run until `budget` is used, and yield each run when it has ended and was logged.

        `execute` runs jobs on workers. After the budget is used, no new run begins, and the runs in
        progress are completed and logged.
        """
        deadline = None if budget.seconds is None else time.monotonic() + budget.seconds
        with (
            CampaignLog(self._folder) as log,
            open_database(self._store) as connection,
            contextlib.closing(execute(lambda: self._next(log, budget, deadline))) as results,
        ):
            for job, outcome in results:
                if job.number not in self.done:
                    yield self._add(log, connection, job, outcome)

    def _next(self, log: CampaignLog, budget: Budget, deadline: float | None) -> Job | None:
        late = deadline is not None and time.monotonic() >= deadline
        enough = budget.runs is not None and self._begun >= budget.runs
        found = budget.finds is not None and len(self.new_finds) >= budget.finds
        if late or enough or found:
            return None
        job = self._source.next()
        if job is not None:
            self._begun += 1
            log.append(Begun(job.number))
        return job

    def _add(
        self, log: CampaignLog, connection: sqlite3.Connection, job: Job, outcome: Outcome
    ) -> Progressed:
        ended = self._with_schedule(outcome)
        log.append(ended)
        self.done[ended.number] = ended
        self._source.add(job, ended)
        file = self._folder.path / ended.schedule
        failing = file.relative_to(self._store).as_posix() if ended.schedule else ""
        ended, new = grouped(self.groups, ended, failing)
        if ended.row.group:
            self.found.add(ended.row.group)
        add_runs(connection, (ended.row,))
        return Progressed(ended, new)

    def _with_schedule(self, outcome: Outcome) -> Ended:
        """Write the schedule of a failed run to a file, and return the run's entry for the log.

        Nothing is written if `SCHEDULES_PER_SIGNATURE_MAX` schedules with the same signature are
        kept already. The returned entry contains the path of the file.
        """
        ended = outcome.ended
        signature = ended.signature.text if ended.signature else ""
        if outcome.failed is None or self._kept.get(signature, 0) >= SCHEDULES_PER_SIGNATURE_MAX:
            return ended
        file = self._folder.failed / f"{ended.number}{SUFFIX}"
        file.parent.mkdir(exist_ok=True)
        fails_by = ended.signature.checker if ended.signature else ""
        schedule = msgspec.structs.replace(outcome.failed, fails_by=fails_by)
        write_schedule(schedule, file, ended.row.because)
        ended = msgspec.structs.replace(
            ended, schedule=file.relative_to(self._folder.path).as_posix()
        )
        self._count_kept(ended)
        return ended

    def _count_kept(self, ended: Ended) -> None:
        if ended.schedule:
            signature = ended.signature.text if ended.signature else ""
            self._kept[signature] = self._kept.get(signature, 0) + 1


class PlannedJobs:
    """The jobs of a plan (`plan.py`), without those that have ended."""

    def __init__(self, jobs: Iterator[Job], done: set[int]) -> None:
        self._jobs, self._done = jobs, done

    def next(self) -> Job | None:
        """Return the next job of the plan that has not ended."""
        return next((job for job in self._jobs if job.number not in self._done), None)

    def add(self, job: Job, ended: Ended) -> None:
        """Do nothing, because a plan does not depend on results."""
