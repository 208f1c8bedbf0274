"""A campaign of simulated runs: the correct member passes, a planted bug is found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from splitbrain.harness.seeds.seed_runs import run_seed
from splitbrain.harness.seeds.summary import Summary
from splitbrain.harness.simulation.coverage import CONDITIONS

ROOT = Path(__file__).resolve().parents[2]
HUNT = "from splitbrain.harness.cli.main import main; main()"


def test_the_correct_member_passes_and_many_conditions_are_reached() -> None:
    summary = Summary()
    for seed in (*range(10), 38):
        summary.add(run_seed(seed, {"system": "simulated", "time_limit_s": 8.0}))
    assert summary.not_valid == []
    assert len(CONDITIONS) >= 40
    assert sum(1 for name in CONDITIONS if summary.conditions[name]) >= 40
    assert summary.exit_code == 0


@pytest.mark.parametrize("mutant", ["vote_not_persisted", "commit_before_quorum", "wal_not_synced"])
def test_a_hunt_finds_a_planted_bug(mutant: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HUNT, "hunt", "--mutant", mutant, "--seed", "0", "--budget", "30"],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "INVALID" in done.stdout
    assert f"splitbrain sim --mutant {mutant} --seed" in done.stdout
