"""Each planted bug is found by the expected checker in a run of real processes.

The correct member passes the same run.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from splitbrain.harness.judging.run_result import RunResult
from splitbrain.harness.mutants.catalogue import mutant, mutant_flags, names_in_processes
from splitbrain.harness.runs.execute import run_sync
from splitbrain.harness.schedule.options import DEFAULTS, read_options

BUDGET_S = 120
SAMPLE = (
    "client_certificate_optional", "compare_lost", "quota_leaked", "stale_read_by_deposed_leader",
)
"""The planted bugs that `make test` searches for in real processes. It searches for others in
simulation."""
FIRST_SEED = 11
INVALID = 1


def run_with(name: str, seed: int, store: Path, *, planted: bool) -> RunResult:
    """A run with the options of the planted bug. Without `planted`, the members have the same
    flags and enough time to agree, but not the bug."""
    options = read_options({"mutant": name, "seed": seed, "store": str(store)})
    if not planted:
        options = msgspec.structs.replace(
            options, mutant="", member_flags=mutant_flags(name),
            quiet_timeout_ms=DEFAULTS.quiet_timeout_ms,
        )
    return run_sync(options, report=False)


def failing_checkers(result: RunResult) -> set[str]:
    """The checkers that found the run invalid."""
    return {verdict.checker for verdict in result.results.verdicts if verdict.valid is False}


def hunt(name: str, store: Path, first_seed: int) -> tuple[RunResult, int]:
    """The first run that the expected checker finds invalid, and its seed."""
    deadline = time.monotonic() + BUDGET_S
    seed, seen = first_seed, []
    while time.monotonic() < deadline:
        result = run_with(name, seed, store, planted=True)
        if mutant(name).found_by[0] in failing_checkers(result):
            return result, seed
        seen.append((seed, result.valid, sorted(failing_checkers(result)), result.error))
        seed += 1
    pytest.fail(f"{name} was not found in {BUDGET_S} s: {seen}")


def replay(found: RunResult, times: int) -> int:
    """The exit code of `splitbrain replay`."""
    store = found.folder.parent.parent
    command = [
        sys.executable, "-c", "from splitbrain.harness.cli.main import main; main()", "replay",
        str(found.folder), "--times", str(times), "--quiet", "--store", str(store),
    ]
    return subprocess.run(command, stdout=subprocess.DEVNULL, timeout=5 * BUDGET_S).returncode


def _cases() -> Iterator[Any]:
    for name in names_in_processes():
        yield pytest.param(name, marks=[] if name in SAMPLE else [pytest.mark.campaign])


@pytest.mark.cluster
@pytest.mark.parametrize("name", list(_cases()))
def test_a_planted_bug_is_found_and_the_correct_member_is_valid(
    name: str, tmp_path: Path
) -> None:
    found, seed = hunt(name, tmp_path, FIRST_SEED)
    assert found.exit_code == INVALID
    correct = run_with(name, seed, tmp_path, planted=False)
    assert correct.valid is True, (correct.error, correct.results.verdicts)


@pytest.mark.cluster
def test_a_replay_of_a_found_bug_finds_it_again(tmp_path: Path) -> None:
    found, _ = hunt("compare_lost", tmp_path, FIRST_SEED)
    assert replay(found, times=1) == INVALID


@pytest.mark.campaign
@pytest.mark.parametrize("first_seed", range(100_000, 105_000, 1_000))
@pytest.mark.parametrize("name", names_in_processes())
def test_a_planted_bug_is_found_from_any_seed_and_again_by_a_replay(
    name: str, first_seed: int, tmp_path: Path
) -> None:
    found, _ = hunt(name, tmp_path, first_seed)
    assert replay(found, times=3) == INVALID
