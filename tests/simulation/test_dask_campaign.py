"""Campaigns on a cluster of Dask survive killed workers and runs that kill their process."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from distributed import LocalCluster

from splitbrain.harness.campaign.dask_workers import connected, in_dask, local_cluster
from splitbrain.harness.campaign.job import Job
from splitbrain.harness.campaign.process_workers import DEATHS_MAX
from splitbrain.harness.campaign.run_archive import pack, unpack
from splitbrain.harness.campaign.run_process import RunProcess, RunProcessDied
from splitbrain.harness.cli.main import run_main
from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.store.database.database import open_database
from splitbrain.harness.store.versions import source_digest

pytestmark = pytest.mark.xdist_group("dask")

SHORT = {
    "system": "simulated", "workload": "register", "nodes": [1], "nemesis": [], "swarm": False,
    "time_limit_s": 0.2,
}
RUNS = 24


def jobs(count: int, **more: object) -> Iterator[Job]:
    given = {**SHORT, **more}
    return iter(
        [Job(campaign="c", number=one, seed=one, given=given) for one in range(1, count + 1)]
    )


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with local_cluster(2) as made:
        yield made


def run_processes(worker: int) -> list[psutil.Process]:
    """The processes of the worker with the process id `worker` that do runs."""
    found = []
    with suppress(psutil.Error):  # the worker has ended
        for one in psutil.Process(worker).children(recursive=True):
            with suppress(psutil.Error):
                if "splitbrain.harness.campaign.run_process" in one.cmdline():
                    found.append(one)
    return found


def workers_of(cluster: LocalCluster) -> list[int]:
    """The process ids of the workers that are alive."""
    found = [nanny.process.pid for nanny in cluster.workers.values() if nanny.process]
    return [pid for pid in found if pid is not None]


def test_no_run_is_lost_or_counted_twice_while_workers_are_killed_at_random(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    left = jobs(RUNS)
    draw = random.Random(1)
    killed: list[psutil.Process] = []
    seen: list[int] = []
    results = in_dask(lambda: next(left, None), cluster.scheduler_address, 1, tmp_path)
    for job, outcome in results:
        assert outcome.ended.row.valid is True
        assert outcome.ended.number == job.number
        seen.append(job.number)
        if len(seen) in (4, 12):
            victim = draw.choice(workers_of(cluster))
            killed += run_processes(victim)
            os.kill(victim, signal.SIGKILL)
    assert sorted(seen) == list(range(1, RUNS + 1))
    assert killed
    gone, alive = psutil.wait_procs(killed, timeout=30)
    assert not alive, "a process that did runs outlives its worker"
    assert len(gone) == len(killed)


def test_a_run_that_kills_its_process_is_unknown(cluster: LocalCluster, tmp_path: Path) -> None:
    left = jobs(1, time_limit_s=1000.0)  # The run lasts until its process is killed.
    stop = threading.Event()

    def kill() -> None:
        while not stop.wait(0.05):
            for worker in workers_of(cluster):
                for process in run_processes(worker):
                    with suppress(psutil.NoSuchProcess):
                        process.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        results = in_dask(lambda: next(left, None), cluster.scheduler_address, 1, tmp_path)
        ((_, outcome),) = results
    finally:
        stop.set()
        killer.join()
    assert outcome.ended.row.valid is None
    assert f"{DEATHS_MAX} times" in outcome.ended.row.because


def test_workers_with_other_code_refuse_their_runs(
    cluster: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "splitbrain.harness.campaign.dask_workers.source_digest", lambda: "of other code"
    )
    left = jobs(2)
    with pytest.raises(SystemFailed, match="another version of Splitbrain"):
        list(in_dask(lambda: next(left, None), cluster.scheduler_address, 1, tmp_path))


def test_the_cluster_listens_on_loopback_only(cluster: LocalCluster) -> None:
    processes = [psutil.Process(), *map(psutil.Process, workers_of(cluster))]
    listening = [
        one.laddr.ip for process in processes for one in process.net_connections()
        if one.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert {*listening} <= {"127.0.0.1", "::1"}


def test_a_planted_bug_of_one_campaign_is_not_in_the_runs_of_the_next(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    verdicts = []
    for mutant in ("compare_lost", ""):
        left = jobs(1, mutant=mutant, workload="kv", time_limit_s=1.0)
        verdicts.append({
            outcome.ended.row.valid
            for _, outcome in in_dask(
                lambda left=left: next(left, None), cluster.scheduler_address, 1, tmp_path  # type: ignore[misc]
            )
        })
    assert verdicts == [{False}, {True}]


def test_the_folder_of_a_failed_run_of_processes_is_brought_into_the_store(
    cluster: LocalCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    arguments = [
        "campaign", "--system", "python_node", "--workload", "kv", "--nodes", "1", "--nemesis",
        "none", "--mutant", "compare_lost", "--time-limit", "1.5", "--runs", "1", "--shrink", "0",
        "--campaign", "c", "--corpus", "none", "--store", str(store),
        "--scheduler", cluster.scheduler_address,
    ]
    assert run_main([*arguments, "--fetch"]) == 1, capsys.readouterr().out
    (history,) = store.glob("*/*/history.jsonl")
    with open_database(store) as connection:
        rows = connection.execute("SELECT folder, number FROM runs").fetchall()
    assert rows == [(f"{history.parent.parent.name}/{history.parent.name}", 1)]


def test_an_archive_restores_the_folder_of_a_run(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "test" / "run"
    (folder / "n1").mkdir(parents=True)
    (folder / "history.jsonl").write_text("x\n")
    (folder / "n1" / "log").write_text("y\n")
    (folder / "link").symlink_to("/etc/passwd")
    archive = pack(folder)
    assert archive is not None
    made = unpack(archive, tmp_path / "b")
    assert made == tmp_path / "b" / "test" / "run"
    assert sorted(path.name for path in made.rglob("*")) == ["history.jsonl", "log", "n1"]


def test_a_worker_that_does_not_come_back_is_replaced(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    nanny = next(iter(cluster.workers.values()))
    cluster.sync(nanny.close, reason="test")
    left = jobs(4)
    results = in_dask(lambda: next(left, None), cluster.scheduler_address, 1, tmp_path)
    assert sorted(job.number for job, _ in results) == [1, 2, 3, 4]
    deadline = time.monotonic() + 60
    while len(workers_of(cluster)) < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert len(workers_of(cluster)) == 2


def test_a_campaign_ends_if_all_workers_have_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("splitbrain.harness.campaign.dask_workers.NO_WORKER_S", 3)
    left = jobs(1000, time_limit_s=1000.0)
    with LocalCluster(
        n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0",
        worker_dashboard_address=None,
    ) as leaving:
        threading.Timer(2, leaving.scale, [0]).start()
        results = in_dask(lambda: next(left, None), leaving.scheduler_address, 1, tmp_path)
        with pytest.raises(SystemFailed, match="no worker for 3 s"):
            list(results)


def test_a_run_process_ends_with_its_parent_and_says_that_it_died() -> None:
    process = RunProcess()
    (job,) = jobs(1)
    assert process.run(job).ended.row.valid is True
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(RunProcessDied, match="-9"):
        process.run(job)


@pytest.mark.parametrize(("arguments", "message"), [
    (["--fetch"], "--fetch: without --scheduler"),
    (["--scheduler", "tcp://127.0.0.1:1", "--workers", "2"], "--workers: the workers are those"),
    (["--scheduler", "nonsense"], "no scheduler of Dask answers"),
])
def test_options_that_do_not_fit_are_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    common = ["campaign", "--runs", "1", "--store", str(tmp_path), "--quiet"]
    assert run_main([*common, *arguments]) == 254
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line


def test_the_digest_of_the_sources_is_the_same_in_every_process() -> None:
    assert len(source_digest()) == 64


def test_a_cluster_without_workers_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("splitbrain.harness.campaign.dask_workers.FIRST_WORKER_S", 0.5)
    with (
        LocalCluster(
            n_workers=0, processes=False, protocol="tcp", host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
        ) as empty,
        pytest.raises(Exception, match="dask worker"),
        connected(empty.scheduler_address, 1),
    ):
        pass
