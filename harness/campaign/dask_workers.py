"""Gives jobs to the workers of a Dask cluster, and yields the outcome of each job once.

A job is one run of a campaign. If a worker dies, Dask gives its job to another worker. A result
that was lost with its worker is computed again. Each thread of a worker has its own `RunProcess`,
so that the threads do not share the state of a simulation or a planted bug.

A worker draws the schedule of a run from the seed. A worker with another version of the code could
draw another schedule, so such a worker refuses the runs of the campaign.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dask
import msgspec
from distributed import Client, Future, KilledWorker, LocalCluster, as_completed

from splitbrain.harness.campaign.job import Job, Outcome, lost
from splitbrain.harness.campaign.process_workers import (
    DEATHS_MAX,
    QUEUED_PER_WORKER,
    Finished,
    NextJob,
)
from splitbrain.harness.campaign.run_archive import unpack
from splitbrain.harness.campaign.run_process import RunProcess, RunProcessDied
from splitbrain.harness.errors import BadArguments, SplitbrainError, SystemFailed
from splitbrain.harness.runs.safe_module_path import safe_path
from splitbrain.harness.store.run_row import row_of_folder
from splitbrain.harness.store.versions import source_digest

LOCAL = "local"
"""The address that means a cluster of processes on this machine, which the campaign starts."""
CONNECT_S = 10
FIRST_WORKER_S = 60
NO_WORKER_S = 300
"""The time for which a campaign waits while the cluster has no worker."""
REPLACED_AFTER_S = 5
WORKERS_READ_AGAIN_S = 2.0
OUTCOMES_READ_AGAIN_S = 0.02
_of_thread = threading.local()


def in_dask(
    next_job: NextJob, address: str, workers: int, store: Path, *, fetch: bool = False
) -> Generator[Finished, None, None]:
    """Run the jobs on the cluster at `address`, and yield each outcome when it arrives.

    With the address `local`, a cluster of `workers` processes is started on this machine. With
    `fetch`, a worker sends the folder of each run of real processes that is not valid, and the
    folder is unpacked into `store`.
    """
    with connected(address, workers) as client:
        running = _Running(client, store, fetch=fetch)
        try:
            while running.fill(next_job):
                yield from running.finished()
        finally:
            running.cancel()


@contextmanager
def connected(address: str, workers: int) -> Iterator[Client]:
    """Connect to the cluster at `address`, and disconnect at the end of the context.

    Raises BadArguments if there is no cluster at the address.
    """
    if address == LOCAL:
        with local_cluster(workers) as cluster, _client(cluster.scheduler_address) as client:
            yield client
        return
    with _client(address) as client:
        try:
            client.wait_for_workers(1, timeout=FIRST_WORKER_S)
        except TimeoutError as problem:
            raise BadArguments(
                f"--scheduler {address}: the cluster has had no worker for {FIRST_WORKER_S} s; "
                f"start one with: dask worker {address} --nthreads 1"
            ) from problem
        yield client


@contextmanager
def local_cluster(workers: int) -> Iterator[LocalCluster]:
    """Start a cluster on this machine, and stop it at the end of the context.

    The cluster has `workers` processes with one thread each, and listens on loopback only.
    """
    settings = {
        "distributed.scheduler.allowed-failures": DEATHS_MAX - 1,
        # By default, each process of the cluster samples its own stack a hundred times a second
        # and wakes up fifty times a second. That takes a tenth of the time of short runs.
        "distributed.worker.profile.enabled": False,
        "distributed.admin.tick.interval": "1s",
        "distributed.admin.tick.limit": "30s",
        "distributed.admin.system-monitor.interval": "5s",
    }
    with (
        safe_path(), dask.config.set(settings), tempfile.TemporaryDirectory() as folder,
        LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, host="127.0.0.1",
            dashboard_address="127.0.0.1:0", worker_dashboard_address=None,
            local_directory=folder, silence_logs=logging.CRITICAL,
        ) as cluster,
    ):  # fmt: skip
        # A worker that could not be restarted, for example on a busy machine, is replaced.
        cluster.adapt(minimum=workers, maximum=workers, interval=f"{REPLACED_AFTER_S}s")
        yield cluster


@contextmanager
def _client(address: str) -> Iterator[Client]:
    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as problem:
        raise BadArguments(
            f"--scheduler {address}: no scheduler of Dask answers ({problem}); expected local or "
            "an address such as tcp://127.0.0.1:8786, where `dask scheduler` runs"
        ) from problem
    with client:
        yield client


class _Running:
    """The jobs that were submitted to the cluster and have no outcome yet."""

    def __init__(self, client: Client, store: Path, *, fetch: bool) -> None:
        self._client, self._store, self._fetch = client, store, fetch
        self._jobs: dict[Future, Job] = {}
        self._completed = as_completed([], loop=client.loop)
        self._deaths: Counter[int] = Counter()
        self._prefix = f"splitbrain-{uuid.uuid4().hex[:12]}"
        self._submitted = 0
        self._threads, self._threads_read = 1, 0.0
        self._worker_seen = time.monotonic()

    def fill(self, next_job: NextJob) -> bool:
        """Submit enough jobs for all workers. Return whether any job has no outcome yet."""
        while len(self._jobs) < QUEUED_PER_WORKER * self._thread_count():
            job = next_job()
            if job is None:
                break
            # The store of this machine does not exist on other machines.
            self._submit(msgspec.structs.replace(job, store="", fetch=self._fetch))
        return bool(self._jobs)

    def finished(self) -> Iterator[Finished]:
        """Wait for at least one outcome, and yield all that have arrived.

        Raises SystemFailed if the cluster has no worker for `NO_WORKER_S`.
        """
        while not self._completed.has_ready():
            time.sleep(OUTCOMES_READ_AGAIN_S)
            self._thread_count()
            if time.monotonic() - self._worker_seen > NO_WORKER_S:
                raise SystemFailed(
                    f"the cluster has had no worker for {NO_WORKER_S} s; to continue the campaign "
                    "when it has, use --resume"
                )
        for future in self._completed.next_batch(block=False):
            job = self._jobs.pop(future)
            outcome = self._outcome(future, job)
            future.release()
            if outcome is None:
                self._submit(job)
            else:
                yield job, self._with_folder(job, outcome)

    def cancel(self) -> None:
        """Cancel the jobs that have not begun."""
        with suppress(Exception):  # The scheduler may have ended.
            self._client.cancel(list(self._jobs))

    def _submit(self, job: Job) -> None:
        self._submitted += 1
        try:
            future = self._client.submit(
                run_on_worker, job, source_digest(), pure=False, retries=0,
                key=f"{self._prefix}-{job.number}-{self._submitted}",
            )  # fmt: skip
        except Exception as problem:
            raise _scheduler_lost(problem) from problem
        self._jobs[future] = job
        self._completed.add(future)

    def _outcome(self, future: Future, job: Job) -> Outcome | None:
        """Return the outcome of `job`; None if the job must be submitted again."""
        # A future is cancelled or lost if the scheduler was restarted, for example.
        if future.status in ("cancelled", "lost"):
            return None
        try:
            return future.result()  # type: ignore[no-any-return]
        except KilledWorker:
            return lost(job, f"the worker process died, {DEATHS_MAX} times")
        except RunProcessDied as problem:
            self._deaths[job.number] += 1
            if self._deaths[job.number] < DEATHS_MAX:
                return None
            return lost(job, f"{problem}, {DEATHS_MAX} times")
        except SplitbrainError:
            raise
        except (OSError, TimeoutError) as problem:
            raise _scheduler_lost(problem) from problem
        except Exception as problem:
            first, *_ = str(problem).splitlines() or [repr(problem)]
            raise SystemFailed(
                f"the cluster cannot do the runs of this version of Splitbrain: {first}; its "
                "scheduler and its workers need the same version, and the extra `dask`"
            ) from problem

    def _with_folder(self, job: Job, outcome: Outcome) -> Outcome:
        """Unpack the folder in `outcome` into the store.

        Returns the outcome without the archive of the folder.
        """
        if outcome.archive is None:
            return outcome
        store = self._store.absolute()
        row = msgspec.structs.replace(
            row_of_folder(store, unpack(outcome.archive, store)), campaign=job.campaign,
            number=job.number, reproduce=outcome.ended.row.reproduce,
        )
        ended = msgspec.structs.replace(outcome.ended, row=row)
        return msgspec.structs.replace(outcome, ended=ended, archive=None)

    def _thread_count(self) -> int:
        """Return the number of threads of all workers, at least 1.

        The number changes, because workers join and leave the cluster.
        """
        if time.monotonic() - self._threads_read > WORKERS_READ_AGAIN_S:
            try:
                self._threads = sum(self._client.nthreads().values())
            except Exception as problem:
                raise _scheduler_lost(problem) from problem
            self._threads_read = time.monotonic()
            if self._threads:
                self._worker_seen = self._threads_read
        return max(self._threads, 1)


def _scheduler_lost(problem: Exception) -> SystemFailed:
    return SystemFailed(
        f"the scheduler of Dask does not answer any more: {problem}; to continue the campaign when "
        "it does, use --resume"
    )


def run_on_worker(job: Job, digest: str) -> Outcome:
    """Execute the run of `job` on a worker, in the `RunProcess` of the calling thread.

    `digest` identifies the sources of the campaign. Raises SystemFailed if the worker has other
    sources, and RunProcessDied if the process died during the run.
    """
    if source_digest() != digest:
        raise SystemFailed(
            f"the worker {os.uname().nodename} has another version of Splitbrain than the "
            "campaign, which would draw other runs from the same seeds"
        )
    process, mutant = getattr(_of_thread, "process", (None, ""))
    if process is None or mutant != job.mutant:
        if process is not None:
            process.close()
        process = RunProcess()
        _of_thread.process = (process, job.mutant)
    try:
        return process.run(job)
    except RunProcessDied:
        _of_thread.process = (None, "")
        raise
