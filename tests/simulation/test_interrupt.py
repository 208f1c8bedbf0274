"""Simulated runs that are interrupted leave no folder, and no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from splitbrain.harness.exit_codes import EXIT_INTERRUPTED
from splitbrain.harness.schedule.text import read_schedule
from splitbrain.harness.seeds.summary import Summary

COMMAND = "from splitbrain.harness.cli.main import main; main()"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("arguments", [
    ["sim", "--runs", "1000"], ["sim", "--runs", "1000", "--workers", "2"],
    ["hunt", "--budget", "60"],
])
def test_an_interrupted_campaign_leaves_nothing(
    arguments: list[str], number: signal.Signals, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments], text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        give_up = time.monotonic() + 60
        while not list(tmp_path.glob("splitbrain-*/history.jsonl")):
            assert time.monotonic() < give_up
            time.sleep(0.05)
        process.send_signal(number)
        output, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert "Traceback" not in output, output
    assert "stopped after" in output
    assert process.returncode == EXIT_INTERRUPTED
    assert not list(tmp_path.glob("splitbrain-*"))


def test_an_interrupted_search_keeps_the_smallest_schedule_found(tmp_path: Path) -> None:
    out = tmp_path / "small.schedule"
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "shrink", "--mutant", "compare_lost", "--seed", "3",
         "--budget", "300", "--out", str(out)],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        assert " runs: " in lines[-1], lines
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert "Traceback" not in output, output
    assert "stopped early" in output
    assert process.returncode == EXIT_INTERRUPTED
    assert read_schedule(out).size < (10, 300)


def test_a_campaign_without_runs_is_unknown() -> None:
    assert Summary().exit_code == 2
