"""`splitbrain init` writes a test that passes, and `splitbrain doctor` shows the machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from splitbrain.harness.cli.doctor import PROGRAMS
from splitbrain.harness.cli.main import run_main
from splitbrain.nemesis.fault_kinds import KINDS


def test_the_skeleton_passes_and_finds_a_store_that_forgets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_main(["init", str(tmp_path / "mine")]) == 0
    shown = capsys.readouterr().out
    assert "my_store.py:27  the command line of one member" in shown
    monkeypatch.chdir(tmp_path / "mine")
    test = [sys.executable, "-m", "pytest", "-q", "--splitbrain-time-limit", "4"]
    done = subprocess.run(test, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
    command = [
        "run", "--system", "my_store:MySystem", "--client", "my_store:MyClient", "--workload",
        "set", "--nodes", "1", "--nemesis", "kill", "--time-limit", "4", "--system-option",
        "forget=1", "--seed",
    ]
    # A kill may hit while nothing was written for half a second.
    assert 1 in (run_main([*command, str(seed)]) for seed in range(3, 12))
    assert "lost" in capsys.readouterr().out


def test_existing_files_are_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my_store.py").write_text("mine")
    assert run_main(["init", str(tmp_path)]) == 254
    assert "already contains my_store.py" in capsys.readouterr().err
    assert (tmp_path / "my_store.py").read_text() == "mine"


def test_the_doctor_names_every_program_and_every_fault(
    capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(["doctor"]) == 0
    shown = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert {*PROGRAMS, *KINDS} <= {*shown}


def test_a_missing_pytest_is_mentioned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run_main(["init", str(tmp_path / "mine")]) == 0
    assert "pip install 'splitbrain[pytest]'" in capsys.readouterr().out
