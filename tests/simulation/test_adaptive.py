"""An adaptive campaign of simulated runs can be repeated, and finds a planted bug."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from splitbrain.harness.adaptive.adaptive_campaign import adaptive_campaign
from splitbrain.harness.adaptive.scheduler import AdaptiveScheduler
from splitbrain.harness.schedule.text import read_schedule

COMMAND = "from splitbrain.harness.cli.main import main; main()"
SHORT = {
    "system": "simulated", "time_limit_s": 1.0, "nodes": (3,), "clients": 3,
    "workload": "register",
}


def splitbrain(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", COMMAND, *words],
        cwd=folder, capture_output=True, text=True, timeout=200, check=False,
    )


def test_the_seed_and_the_number_of_runs_determine_a_campaign() -> None:
    def digests() -> list[tuple[int, str, bool | None]]:
        runs = adaptive_campaign(AdaptiveScheduler(11, SHORT), 6)
        return [(attempt.parent, result.digest, result.valid) for attempt, result in runs]

    once = digests()
    assert any(parent for parent, _, _ in once)
    assert all(valid is not False for _, _, valid in once)
    assert digests() == once


def test_a_run_reports_when_it_first_reached_each_condition() -> None:
    ((_, result),) = adaptive_campaign(AdaptiveScheduler(3, SHORT), 1)
    reached = {name for name, number in result.conditions.items() if number}
    assert result.first_reached_s.keys() == reached
    times = list(result.first_reached_s.values())
    assert times == sorted(times)
    assert 0 <= times[0] <= times[-1] <= result.simulated_s


def test_a_hunt_finds_a_planted_bug_and_its_file_shows_it_again(tmp_path: Path) -> None:
    hunt = splitbrain(
        tmp_path, "hunt", "--adaptive", "--mutant", "match_taken_from_next", "--seed", "1",
        "--time-limit", "4", "--nodes", "3", "--budget", "100", "--store", "store",
    )
    assert hunt.returncode == 1, hunt.stdout + hunt.stderr
    assert "preferred (" in hunt.stdout
    found = re.search(r"^reproduce: splitbrain (sim --schedule (\S+))$", hunt.stdout, re.MULTILINE)
    assert found is not None, hunt.stdout
    assert read_schedule(tmp_path / found[2]).options.mutant == "match_taken_from_next"
    again = splitbrain(tmp_path, *found[1].split(), "--no-report")
    assert again.returncode == 1, again.stdout + again.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_campaign_prints_its_summary_and_what_it_prefers(workers: str, tmp_path: Path) -> None:
    done = splitbrain(
        tmp_path, "sim", "--adaptive", "--runs", "3", "--workers", workers, "--seed", "1",
        "--time-limit", "1", "--nodes", "3", "--workload", "register", "--store", "store",
    )
    assert "adaptive campaign of 3 runs from seed 1" in done.stdout, done.stderr
    assert re.search(r"^3 runs, ", done.stdout, re.MULTILINE)
    assert "preferred (" in done.stdout
    assert done.returncode == 0, done.stdout


def test_a_schedule_cannot_be_adaptive(tmp_path: Path) -> None:
    (tmp_path / "a.schedule").write_text("seed 1\nmembers n1\nlasts 10 ms\n")
    refused = splitbrain(tmp_path, "sim", "--adaptive", "--schedule", "a.schedule")
    assert refused.returncode == 254
    assert "--adaptive" in refused.stderr
