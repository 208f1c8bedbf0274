"""Worker processes end after a missed SIGTERM, and the death of one is reported."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from multiprocessing.synchronize import Event
from types import FrameType

import pytest

from splitbrain.harness.seeds import worker_processes
from splitbrain.harness.seeds.worker_processes import WorkerDied, end_processes, results_of_jobs


def double(number: int) -> int:
    return 2 * number


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def ignore_signals(ignored: int, ready: Event) -> None:
    """Ignore SIGTERM `ignored` times, as if it arrived just before a system call."""
    received = 0

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal received
        received += 1
        if received > ignored:
            os._exit(1)

    signal.signal(signal.SIGTERM, handle)
    ready.set()
    while True:
        time.sleep(60)


def started(ignored: int) -> multiprocessing.process.BaseProcess:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=ignore_signals, args=(ignored, ready))
    process.start()
    assert ready.wait(60)
    return process


def test_each_job_has_one_result() -> None:
    results = dict(results_of_jobs(double, iter(range(20)), workers=2, ahead=2))
    assert results == {number: 2 * number for number in range(20)}


def test_a_campaign_without_jobs_has_no_results() -> None:
    assert list(results_of_jobs(double, iter(()), workers=2)) == []


def test_no_job_is_taken_before_a_worker_is_free_for_it() -> None:
    taken: list[int] = []

    def jobs() -> list[int]:
        taken.append(len(taken))
        return taken

    results = results_of_jobs(double, (jobs()[-1] for _ in range(10)), workers=2)
    next(results)
    assert len(taken) == 2
    results.close()  # type: ignore[attr-defined]


def test_the_death_of_a_worker_is_reported() -> None:
    with pytest.raises(WorkerDied, match="fewer --workers"):
        list(results_of_jobs(die, iter([1]), workers=2))


def test_a_worker_that_misses_sigterm_gets_another_one() -> None:
    process = started(ignored=2)
    end_processes([process])
    assert process.exitcode == 1


def test_a_worker_that_never_ends_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_processes, "TERMINATED_WITHIN_S", 0.3)
    process = started(ignored=1_000)
    end_processes([process])
    assert process.exitcode == -signal.SIGKILL
