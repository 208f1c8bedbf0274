"""Starts the worker processes of campaigns, gives them jobs, and ends them."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import TypeVar

from splitbrain.harness.errors import SplitbrainError
from splitbrain.harness.runs.safe_module_path import safe_path
from splitbrain.harness.store.temporary_folder import in_use

Job = TypeVar("Job")
Result = TypeVar("Result")

SEED_RUNS = "splitbrain.harness.seeds.seed_runs"
PRELOADED = ("splitbrain.harness.simulation.simulate", "splitbrain.checkers.catalogue")
"""The fork server imports these modules once, so that the workers do not import them again."""
TERMINATED_EVERY_S = 0.1
"""How often a worker gets SIGTERM until it ends. A signal that arrives just before a system call
does not interrupt this call, so one signal is not enough."""
TERMINATED_WITHIN_S = 30
"""A worker that has not ended after this time gets SIGKILL."""


class WorkerDied(SplitbrainError):
    """A worker process died while it executed a job."""


@contextmanager
def worker_processes(
    workers: int, jobs_module: str = SEED_RUNS
) -> Iterator[ProcessPoolExecutor]:
    """Start `workers` processes that can simulate runs, and end them at the end of the context.

    The fork server also imports `jobs_module` once. A worker that is still busy at the end gets
    SIGTERM, and removes the folder of its run.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([jobs_module, *PRELOADED])
    with safe_path():
        pool = ProcessPoolExecutor(workers, context, prepare_worker)
        try:
            yield pool
        finally:
            processes = list((pool._processes or {}).values())
            pool.shutdown(wait=False, cancel_futures=True)
            end_processes(processes)
            pool.shutdown(wait=True)


def results_of_jobs(
    run: Callable[[Job], Result], jobs: Iterator[Job], workers: int, ahead: int = 0
) -> Iterator[tuple[Job, Result]]:
    """Run `jobs` in `workers` processes, and yield each job with its result when it ends.

    With one worker, the jobs run in this process and in their order. With several workers, `ahead`
    additional jobs wait in a queue, so that a worker that becomes free has its next job at once.
    The next job is taken after the caller has handled a result. Raises WorkerDied.
    """
    if workers == 1:
        for job in jobs:
            yield job, run(job)
        return
    with worker_processes(workers) as pool:
        running: dict[Future[Result], Job] = {}

        def start(number: int) -> None:
            for job in islice(jobs, number):
                running[pool.submit(run, job)] = job

        try:
            start(workers + ahead)
            while running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    job = running.pop(future)
                    yield job, future.result()
                start(len(done))
        except BrokenProcessPool:
            raise WorkerDied(
                "a worker process of the campaign died, for example because the machine has too "
                "little memory; run the campaign with fewer --workers"
            ) from None


def end_processes(processes: Sequence[BaseProcess]) -> None:
    """Send SIGTERM to the processes repeatedly until they have ended.

    Processes that still run after `TERMINATED_WITHIN_S` seconds get SIGKILL.
    """
    deadline = time.monotonic() + TERMINATED_WITHIN_S
    while processes := [one for one in processes if one.is_alive()]:
        for process in processes:
            if time.monotonic() < deadline:
                process.terminate()
            else:
                process.kill()
        processes[0].join(TERMINATED_EVERY_S)


def prepare_worker() -> None:
    """Ignore Ctrl-C in a worker process, and handle SIGTERM.

    On Ctrl-C, the main process of the campaign sends SIGTERM to its workers. Each worker then
    removes the folder of its run.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, remove_folders_and_exit)


def remove_folders_and_exit(number: int, _frame: FrameType | None) -> None:
    """Remove the folder of the run, and end this process.

    This function handles SIGTERM in worker processes.
    """
    # Otherwise a second SIGTERM would start the removal again.
    signal.signal(number, signal.SIG_IGN)
    # An exception is not enough: during garbage collection it is ignored, and the worker would
    # continue.
    for folder in in_use:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(128 + number)
