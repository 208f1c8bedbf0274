"""Campaigns of real simulations continue after workers, or the campaign itself, were killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from splitbrain.harness.campaign.adaptive_jobs import AdaptiveJobs
from splitbrain.harness.campaign.job import Job, Outcome, run_job
from splitbrain.harness.campaign.process_workers import DEATHS_MAX, in_processes, in_this_process
from splitbrain.harness.campaign.recorded_campaign import Budget, RecordedCampaign
from splitbrain.harness.cli.main import run_main
from splitbrain.harness.store.campaign_folder import (
    Axes,
    Begun,
    CampaignRecord,
    Ended,
    campaign_folder,
)

SHORT = {
    "system": "simulated", "workload": "register", "nodes": [1], "nemesis": [], "swarm": False,
    "time_limit_s": 0.2,
}
COMMAND = "from splitbrain.harness.cli.main import main; main()"
ARGUMENTS = (
    "campaign", "--campaign", "c", "--seed", "7", "--workload", "register,set", "--nodes", "1",
    "--nemesis", "kill", "--time-limit", "0.2", "--corpus", "no-such-folder", "--shrink", "0",
)


def jobs(count: int) -> list[Job]:
    return [Job(campaign="c", number=one, seed=one, given=SHORT) for one in range(1, count + 1)]


def die_once(folder: Path, job: Job) -> Outcome:
    """Kill the worker in the first try of every third run. Files in `folder` mark first tries."""
    mark = folder / str(job.number)
    if job.number % 3 == 0 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return run_job(job)


def die_always(job: Job) -> Outcome:
    if job.number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return run_job(job)


def test_runs_of_killed_workers_are_done_by_others_and_none_twice(tmp_path: Path) -> None:
    left, run = iter(jobs(7)), partial(die_once, tmp_path)
    done = [job.number for job, outcome in in_processes(lambda: next(left, None), 2, run)
            if outcome.ended.row.valid]
    assert sorted(done) == [1, 2, 3, 4, 5, 6, 7]
    assert {path.name for path in tmp_path.iterdir()} == {"3", "6"}


def test_a_run_that_always_kills_its_worker_is_unknown_and_the_others_go_on() -> None:
    left = iter(jobs(4))
    done = {
        job.number: outcome for job, outcome
        in in_processes(lambda: next(left, None), 2, die_always)
    }
    assert sorted(done) == [1, 2, 3, 4]
    assert done[2].ended.row.valid is None
    assert f"died, {DEATHS_MAX} times" in done[2].ended.row.because
    assert [one for one in done if done[one].ended.row.valid] == [1, 3, 4]


def test_a_killed_campaign_continues_with_the_runs_that_it_lacks(tmp_path: Path) -> None:
    store = tmp_path / "store"
    arguments = [*ARGUMENTS, "--store", str(store), "--runs", "12", "--workers", "2"]
    killed = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments], stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    folder = campaign_folder(store, "c")
    while len(folder.ended()) < 3 and killed.poll() is None:
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    before = set(folder.ended())
    continued = ["campaign", "--resume", "latest", "--store", str(store), "--runs", "12"]
    assert run_main([*continued, "--quiet", "--shrink", "0"]) == 0
    numbers = [one.number for one in folder.lines() if isinstance(one, Ended)]
    assert sorted(numbers) == list(range(1, 13))
    assert before <= set(numbers)
    assert sorted(one.row.seed or 0 for one in folder.ended().values()) == list(range(7, 19))


def test_an_adaptive_campaign_that_was_interrupted_makes_the_same_choices(tmp_path: Path) -> None:
    given = {**SHORT, "swarm": True}
    record = CampaignRecord(
        name="a", seed=5, axes=Axes(("simulated",), ("register",), (), (1,)), given=given,
        adaptive=True,
    )

    def chosen(store: Path, *runs: int) -> list[tuple[int, int | None, tuple[str, ...]]]:
        folder = campaign_folder(store, "a")
        folder.path.mkdir(parents=True)
        folder.write_record(record)
        for count in runs:
            campaign = RecordedCampaign(store, folder, AdaptiveJobs(record, folder, store))
            list(campaign.run(Budget(runs=count), in_this_process))
        return [(one.number, one.row.seed, one.row.nemesis) for one in folder.ended().values()]

    assert chosen(tmp_path / "whole", 6) == chosen(tmp_path / "interrupted", 2, 3, 6)


def test_a_run_that_had_begun_is_done_first_after_an_interruption(tmp_path: Path) -> None:
    record = CampaignRecord(
        name="a", seed=5, axes=Axes(("simulated",), ("register",), (), (1,)), given=SHORT,
        adaptive=True,
    )
    folder = campaign_folder(tmp_path, "a")
    folder.path.mkdir(parents=True)
    folder.write_record(record)
    campaign = RecordedCampaign(tmp_path, folder, AdaptiveJobs(record, folder, tmp_path))
    list(campaign.run(Budget(runs=2), in_this_process))
    lines = folder.log.read_bytes().splitlines(keepends=True)
    assert [type(one) for one in folder.lines()] == [Begun, Ended, Begun, Ended]
    folder.log.write_bytes(b"".join(lines[:3]))
    source = AdaptiveJobs(record, folder, tmp_path)
    assert [source.next().number, source.next().number] == [2, 3]  # type: ignore[union-attr]


def test_failures_of_a_planted_bug_are_grouped_and_shrunk(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        *ARGUMENTS[:-2], "--store", str(tmp_path), "--mutant", "compare_lost", "--runs", "3",
        "--workload", "register", "--time-limit", "2", "--shrink", "1",
    ]
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "new group mvcc-wrong-answer" in done.stderr
    assert "splitbrain sim --schedule" in done.stdout
    assert run_main(["groups", "--store", str(tmp_path)]) == 0
    assert "smallest: " in capfd.readouterr().out
