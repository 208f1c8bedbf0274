"""Chooses the jobs of a recorded campaign that is adaptive. A job is one run for a worker."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from splitbrain.harness.adaptive.scheduler import AdaptiveScheduler, Attempt
from splitbrain.harness.campaign.job import Job
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.text import SUFFIX
from splitbrain.harness.seeds.seed_runs import SeedResult
from splitbrain.harness.store.campaign_folder import (
    CampaignFolder,
    CampaignRecord,
    Ended,
)


class AdaptiveJobs:
    """The jobs of a campaign whose runs an `AdaptiveScheduler` chooses.

    If the campaign was interrupted, the scheduler first receives the results in the log once more.
    From the same results it makes the same choices, and so returns to the state before the
    interruption. The first jobs are then the runs that had begun but have no end in the log.
    """

    def __init__(self, record: CampaignRecord, folder: CampaignFolder, store: Path) -> None:
        self._record, self._folder, self._store = record, folder, store
        self.scheduler = AdaptiveScheduler(record.seed, record.given)
        self._attempts: dict[int, Attempt] = {}
        self._missing: deque[Attempt] = deque()
        self._replay(folder)

    def next(self) -> Job | None:
        """Return the next run as a job."""
        attempt = self._missing.popleft() if self._missing else self._attempt()
        file = self._folder.failed / f"{attempt.number}{SUFFIX}"
        return Job(
            campaign=self._record.name, number=attempt.number, seed=attempt.schedule.seed, given={},
            schedule=attempt.schedule, store=str(self._store),
            reproduce=f"splitbrain sim --schedule {file}",
        )

    def add(self, job: Job, ended: Ended) -> None:
        """Give the result of a run to the scheduler."""
        self._add(ended)

    def _attempt(self) -> Attempt:
        attempt = self.scheduler.attempt()
        self._attempts[attempt.number] = attempt
        return attempt

    def _add(self, ended: Ended) -> None:
        self.scheduler.add(self._attempts.pop(ended.number), result_of(ended))

    def _replay(self, folder: CampaignFolder) -> None:
        for line in folder.lines():
            if isinstance(line, Ended):
                self._add(line)
            elif line.number not in self._attempts:
                attempt = self._attempt()
                if attempt.number != line.number:
                    raise BadArguments(
                        f"{folder.path}: the log of this adaptive campaign was changed: expected "
                        f"run {attempt.number}, found run {line.number}"
                    )
        self._missing.extend(self._attempts.values())


def result_of(ended: Ended) -> SeedResult:
    """Convert the result of a logged run to the form that the scheduler expects."""
    row = ended.row
    return SeedResult(
        seed=row.seed or 0, valid=row.valid, digest="", simulated_s=0.0, wall_s=ended.wall_s,
        found_by=(row.checker,) if row.valid is False else (), because=row.because,
        first_reached_s=ended.first_reached_s, events=ended.events,
    )
