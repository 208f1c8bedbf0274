"""`splitbrain run --report-failed` writes the report only of a run that is not valid."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = "from splitbrain.harness.cli.main import main; main()"


@pytest.mark.parametrize(("mutant", "written"), [("", False), ("answered_at_commit", True)])
def test_the_report_is_written_only_if_the_run_is_not_valid(
    tmp_path: Path, mutant: str, written: bool
) -> None:
    words = [
        "run", "--system", "simulated", "--workload", "kv", "--nodes", "3", "--nemesis", "none",
        "--time-limit", "1", "--seed", "3", "--report-failed", "--quiet", "--store", str(tmp_path),
        *(["--mutant", mutant] if mutant else []),
    ]
    done = subprocess.run([sys.executable, "-c", COMMAND, *words], check=False, capture_output=True)
    assert done.returncode == (1 if mutant else 0)
    assert (tmp_path / "latest" / "report.html").exists() == written
