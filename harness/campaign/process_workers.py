"""Gives jobs to worker processes, and yields the outcome of each job once.

A job is one run of a campaign. If a worker dies, another worker gets its job. If `DEATHS_MAX`
workers have died during the same job, the job is not repeated, and its outcome is unknown. One run
can therefore not stop a campaign.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress

from splitbrain.harness.campaign.job import Job, Outcome, lost, run_job
from splitbrain.harness.seeds.worker_processes import worker_processes

DEATHS_MAX = 3
QUEUED_PER_WORKER = 2
"""The number of jobs that are given to the pool for each worker, so that no worker waits for its
next job."""
CAMPAIGN_JOB = "splitbrain.harness.campaign.job"

NextJob = Callable[[], Job | None]
"""A function that returns the next job, or None if there is none at this time."""
Finished = tuple[Job, Outcome]


def in_this_process(next_job: NextJob) -> Generator[Finished, None, None]:
    """Run the jobs one after another in this process. All jobs must have the same planted bug."""
    while (job := next_job()) is not None:
        yield job, run_job(job)


def in_processes(
    next_job: NextJob, workers: int, run: Callable[[Job], Outcome] = run_job
) -> Generator[Finished, None, None]:
    """Run the jobs in `workers` processes, and yield each outcome when it arrives.

    `next_job` is called again after the caller has handled an outcome. All jobs must have the same
    planted bug, because a planted bug cannot be removed from a process. `run` executes one job.
    """
    deaths: Counter[int] = Counter()
    again: list[Job] = []
    while True:
        try:
            with worker_processes(workers, CAMPAIGN_JOB) as pool:
                yield from _until_broken(pool, next_job, workers, run, again)
            return
        except _WorkerDied as died:
            if len(died.jobs) == 1:
                (job,) = died.jobs
                deaths[job.number] += 1
                if deaths[job.number] == DEATHS_MAX:
                    again.remove(job)
                    yield job, lost(job, f"the worker process died, {DEATHS_MAX} times")


class _WorkerDied(Exception):
    """A worker process died. It was executing one of `jobs`, but it is not known which one."""

    def __init__(self, jobs: list[Job]) -> None:
        self.jobs = jobs


def _until_broken(
    pool: ProcessPoolExecutor, next_job: NextJob, workers: int, run: Callable[[Job], Outcome],
    again: list[Job],
) -> Generator[Finished, None, None]:
    """Run jobs until there are none. Raises _WorkerDied if a worker dies.

    `again` is changed. At the call, it contains the jobs that a worker did not complete before it
    died. These jobs are run first, one at a time, so that another death of a worker shows which job
    causes it. When _WorkerDied is raised, `again` contains the jobs that have no outcome yet.
    """
    running: dict[Future[Outcome], Job] = {}
    try:
        while True:
            most = 1 if again else QUEUED_PER_WORKER * workers
            while len(running) < most:
                job = again[0] if again else next_job()
                if job is None:
                    break
                if not again:
                    again.append(job)  # until the job was submitted, which can fail
                running[pool.submit(run, job)] = job
                del again[0]
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                outcome = future.result()
                yield running.pop(future), outcome
    except BrokenProcessPool:
        # Other runs may have ended before the worker died.
        for future in [one for one in running if one.done()]:
            with suppress(BrokenProcessPool):
                outcome = future.result()
                yield running.pop(future), outcome
        jobs = list(running.values())
        again[:] = [*jobs, *again]
        raise _WorkerDied(jobs) from None
