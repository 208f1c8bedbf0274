"""A member of this project's store that ends by itself makes a run of real processes invalid."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from splitbrain.checkers.verdict import Anomaly
from splitbrain.harness.judging.run_result import RunResult
from splitbrain.harness.runs.execute import run_sync
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.systems.etcd_like.process_cluster import ProcessCluster
from splitbrain.harness.systems.factory import make_system
from splitbrain.harness.systems.system import System
from splitbrain.histories.history import History
from splitbrain.node.failpoint import PANICS

pytestmark = pytest.mark.cluster


def options(tmp_path: Path, **given: Any) -> Options:
    defaults = {
        "workload": "kv", "nemesis": (), "nodes": (3,), "time_limit_s": 4.0, "rate": 100.0,
        "seed": 11, "quiet_timeout_ms": 10_000, "store": str(tmp_path / "store"),
    }
    return Options(**{**defaults, **given})


def crash_of_n2(result: RunResult) -> Anomaly:
    """The anomaly of the only crash, after which the other members went on."""
    assert (result.valid, result.exit_code, result.error) == (False, 1, "")
    others = {one.checker: one.valid for one in result.results.verdicts if one.applies}
    assert [name for name, valid in others.items() if valid is False] == ["crashed"]
    (anomaly,) = next(one for one in result.results.verdicts if one.checker == "crashed").anomalies
    assert anomaly.members == ("n2",)
    history = History.read(result.folder / "history.jsonl")
    finals = {one.node for one in history.operations if one.f == "final_read"}
    assert finals == {"n1", "n3"}
    assert all(one.outcome == "ok" for one in history.operations if one.f == "final_read")
    return anomaly


@pytest.mark.parametrize("allowed", [False, True])
def test_a_member_that_is_killed_from_outside_is_a_crash(tmp_path: Path, allowed: bool) -> None:
    def make(schedule: Schedule, folder: Path) -> System:
        system = make_system(schedule, folder)
        assert isinstance(system, ProcessCluster)

        def kill() -> None:
            history, pid = folder / "history.jsonl", None
            while not (history.exists() and history.read_bytes().count(b"\n") > 80):
                time.sleep(0.02)
            pid = system.pid("n2")
            assert pid is not None
            os.kill(pid, signal.SIGKILL)

        threading.Thread(target=kill, daemon=True).start()
        return system

    result = run_sync(options(tmp_path, allow_crash=allowed), make=make)
    if allowed:
        assert (result.valid, result.exit_code) == (True, 0)
        return
    anomaly = crash_of_n2(result)
    assert "n2 ended by itself with signal 9 (SIGKILL), noticed at " in anomaly.because
    assert "n2 ended by itself at" in (result.folder / "report.html").read_text()


def test_a_member_that_a_bug_ends_is_a_crash(tmp_path: Path) -> None:
    def make(schedule: Schedule, folder: Path) -> System:
        system = make_system(schedule, folder)
        assert isinstance(system, ProcessCluster)
        bug = {"SPLITBRAIN_FAILPOINTS": "before_apply_mvcc=60#panic"}
        system.settings = replace(system.settings, member_env={"n2": bug})
        return system

    anomaly = crash_of_n2(run_sync(options(tmp_path), make=make, report=False))
    assert PANICS in anomaly.because
    assert PANICS in anomaly.detail["log_tail"][-1]
