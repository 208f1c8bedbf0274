"""Planted bugs in simulation: a few of each area in every run, all of them in a campaign."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from splitbrain.checkers.catalogue import CHECKERS
from splitbrain.harness.judging.judge import OF_THE_RUN
from splitbrain.harness.mutants.catalogue import mutant, names, names_in_simulation, plant
from splitbrain.harness.runs.execute import INVARIANTS
from splitbrain.nemesis.fault_kinds import KINDS

ROOT = Path(__file__).resolve().parents[2]
SPLITBRAIN = (sys.executable, "-c", "from splitbrain.harness.cli.main import main; main()")
INVALID = 1
QUICK = (
    "vote_forgotten_at_step_down",
    "wal_synced_before_the_write",
    "index_ahead_of_data",
    "replayed_tail_not_synced",
    "recovery_skips_lost_entries",
    "lease_expires_early",
    "users_not_in_a_snapshot",
    "id_of_an_open_watch",
    "grant_of_an_existing_lease",
)
"""Planted bugs of different areas that the first seeds find."""


def found_by(name: str, budget_s: int, first_seed: int = 0) -> set[str]:
    """The checkers by which a hunt with default options finds the planted bug."""
    done = subprocess.run(
        [*SPLITBRAIN, "hunt", "--mutant", name, "--seed", str(first_seed),
         "--budget", str(budget_s)],
        cwd=ROOT, capture_output=True, text=True, timeout=10 * budget_s, check=False,
    )
    assert done.returncode == INVALID, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("INVALID by ")]
    return set(line.removeprefix("INVALID by ").split(", "))


def test_there_are_at_least_forty_mutants_with_a_source_and_expected_checkers() -> None:
    assert len(names()) >= 40
    for name in names():
        known = mutant(name)
        assert known.what, name
        assert known.source, name
        assert known.found_by, name
        assert set(known.found_by) <= {*CHECKERS, *OF_THE_RUN, INVARIANTS}, name
        assert known.simulated or known.run, name
        kinds = known.hunt.get("nemesis", ())
        assert isinstance(kinds, tuple), name
        assert set(kinds) <= set(KINDS), name


@pytest.mark.parametrize("name", names())
def test_the_functions_that_a_mutant_replaces_exist(name: str) -> None:
    """Each is planted in its own process, because a planted bug stays in the process."""
    child = os.fork()
    if not child:
        status = 1
        try:
            plant(name)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.parametrize("name", QUICK)
def test_a_hunt_finds_a_quick_mutant(name: str) -> None:
    assert found_by(name, budget_s=60) & set(mutant(name).found_by)


@pytest.mark.campaign
@pytest.mark.parametrize("first_seed", [200_000, 300_000])
@pytest.mark.parametrize("name", names_in_simulation())
def test_a_hunt_finds_a_mutant(name: str, first_seed: int) -> None:
    assert found_by(name, budget_s=120, first_seed=first_seed) & set(mutant(name).found_by)
