"""Defines a job (one run of a campaign, for a worker), and executes it.

A worker is this process, another process, or another machine. A job and its outcome are values. A
worker needs only the job, so if a worker dies, any other worker can execute its job.
"""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from splitbrain.harness.campaign.run_archive import pack
from splitbrain.harness.drawing.schedule_drawing import draw_schedule, draw_swarm_schedule
from splitbrain.harness.judging.run_result import RunResult
from splitbrain.harness.runs.execute import execute, execute_simulated
from splitbrain.harness.schedule.command_line import run_line, sim_line
from splitbrain.harness.schedule.options import read_options
from splitbrain.harness.schedule.schedule import SIMULATED, Schedule
from splitbrain.harness.store.campaign_folder import Ended
from splitbrain.harness.store.failure_signature import signature_of
from splitbrain.harness.store.lenient_records import RunFacts, read_result_facts, read_run_facts
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.harness.store.run_row import RunRow, row_of, row_of_folder
from splitbrain.harness.store.temporary_folder import temporary_run_folder
from splitbrain.nemesis.fault_events import name_of


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A run of a campaign, as a worker receives it.

    The schedule is drawn from `seed` and `given`, unless `schedule` contains it.
    """

    campaign: str
    number: int
    seed: int
    given: dict[str, Any]
    schedule: Schedule | None = None
    reproduce: str = ""
    """The command that repeats the run. If it is "", the command is made from the seed and the
    options."""
    store: str = ""
    """The store for the folders of runs of real processes; "" if the folders are not kept."""
    keep_valid: bool = False
    """Whether the folder of a valid run is kept."""
    fetch: bool = False
    """Whether the outcome contains the folder of a run of real processes, as an archive, for
    workers that do not share a file system. The folder of a valid run is left out unless
    `keep_valid`."""

    @property
    def mutant(self) -> str:
        of_schedule = self.schedule.options.mutant if self.schedule else ""
        return of_schedule or str(self.given.get("mutant", ""))

    @property
    def key(self) -> str:
        """The name of the run in the database of runs, in place of its folder.

        It is used if the folder of the run is not kept.
        """
        return f"{self.campaign}#{self.number}"

    @property
    def simulated(self) -> bool:
        system = self.schedule.system if self.schedule else self.given.get("system")
        return system == SIMULATED


class Outcome(msgspec.Struct, frozen=True):
    """The result of a job, as a worker returns it.

    `failed` is the schedule of the run if it was simulated and is not valid; otherwise None.
    """

    ended: Ended
    failed: Schedule | None = None
    archive: bytes | None = None
    """The folder of the run as an archive, if the job asks for it; otherwise None."""


def schedule_of(job: Job) -> Schedule:
    """Return the schedule of `job`. The same job gives the same schedule in every process."""
    if job.schedule is not None:
        return job.schedule
    if job.given.get("system") == SIMULATED:
        return draw_swarm_schedule(job.seed, job.given)
    return draw_schedule(read_options({**job.given, "seed": job.seed}))


def run_job(job: Job) -> Outcome:
    """Execute the run of `job`, and judge it.

    If the harness or the system under test fails, the outcome contains the error.
    """
    began = time.perf_counter()
    schedule = schedule_of(job)
    outcome = _simulated(job, schedule) if job.simulated else _real(job, schedule)
    ended = msgspec.structs.replace(
        outcome.ended, wall_s=round(time.perf_counter() - began, 3)
    )
    return msgspec.structs.replace(outcome, ended=ended)


def lost(job: Job, because: str) -> Outcome:
    """Return the outcome of a run that was never completed, because its workers died.

    The verdict is unknown, for the reason `because`.
    """
    schedule = schedule_of(job)
    options = schedule.options
    row = RunRow(
        key=job.key, campaign=job.campaign, number=job.number, started=_now(),
        test=options.test_name(), system=options.system, workload=options.workload,
        mutant=options.mutant, nemesis=options.nemesis, members=len(schedule.members),
        seed=job.seed, ended="failed", error=because, because=because,
        reproduce=_reproduce(job),
    )
    return Outcome(Ended(number=job.number, row=row), schedule if job.simulated else None)


def _simulated(job: Job, schedule: Schedule) -> Outcome:
    started = _now()
    with temporary_run_folder() as folder:
        result = execute_simulated(schedule, folder)
        row = _row(job, schedule, folder, started)
    facts = result.simulated
    assert facts is not None
    ended = Ended(
        number=job.number, row=row, signature=signature_of(result.results.verdicts),
        first_reached_s=dict(facts.first_reached_s), events=facts.events,
    )
    return Outcome(ended, None if result.valid else schedule)


def _real(job: Job, schedule: Schedule) -> Outcome:
    started = _now()
    if job.store:
        return _in_store(job, schedule)
    with temporary_run_folder() as folder:
        result = _executed(schedule, folder.path)
        row = _row(job, schedule, RunFolder(result.folder), started)
        fetched = job.fetch and (job.keep_valid or not result.valid)
        archive = pack(result.folder) if fetched else None
    return Outcome(_ended(job, row, result), archive=archive)


def _in_store(job: Job, schedule: Schedule) -> Outcome:
    """Run real processes in the store.

    The folder of a valid run is removed unless `keep_valid` is set.
    """
    result = _executed(schedule, Path(job.store))
    row = row_of_folder(Path(job.store).absolute(), result.folder)
    if result.valid and not job.keep_valid:
        shutil.rmtree(result.folder, ignore_errors=True)
        row = msgspec.structs.replace(row, key=job.key, folder="")
    row = msgspec.structs.replace(
        row, campaign=job.campaign, number=job.number, reproduce=_reproduce(job)
    )
    return Outcome(_ended(job, row, result))


def _executed(schedule: Schedule, store: Path) -> RunResult:
    """Execute `schedule` in `store`. Raises KeyboardInterrupt if Ctrl-C ended the run early."""
    options = msgspec.structs.replace(schedule.options, store=str(store))
    result = execute(msgspec.structs.replace(schedule, options=options), report=False)
    if result.ended == "interrupted":
        raise KeyboardInterrupt
    return result


def _ended(job: Job, row: RunRow, result: RunResult) -> Ended:
    return Ended(
        number=job.number, row=row, signature=signature_of(result.results.verdicts)
    )


def _row(job: Job, schedule: Schedule, folder: RunFolder, started: int) -> RunRow:
    facts = read_run_facts(folder)[0] or RunFacts()
    results = read_result_facts(folder)[0]
    assert results is not None  # the run was judged just now
    row = row_of(job.key, facts, results)
    # A schedule that was not drawn has no kinds of faults in its options.
    faults = sorted({name_of(one.fault) for one in schedule.faults})
    return msgspec.structs.replace(
        row, nemesis=row.nemesis or tuple(faults), campaign=job.campaign, number=job.number,
        started=started, reproduce=_reproduce(job),
    )


def _reproduce(job: Job) -> str:
    if job.reproduce:
        return job.reproduce
    if job.simulated:
        return sim_line(job.seed, job.given)
    return run_line(read_options({**job.given, "seed": job.seed}), job.seed)


def _now() -> int:
    return int(datetime.now(UTC).timestamp())
