"""Hypothesis draws schedules: the correct member passes, and a planted bug shrinks and is kept."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.schedule.text import as_text, parse_schedule
from splitbrain.harness.testing.strategies import check_schedule, schedules
from splitbrain.nemesis.fault import AtStep

ROOT = Path(__file__).resolve().parents[2]

FINDS_IT = """
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.database import DirectoryBasedExampleDatabase
from splitbrain import check_schedule, schedules

@settings(deadline=None, max_examples=150, phases=(Phase.reuse, Phase.generate, Phase.shrink),
          database=DirectoryBasedExampleDatabase("kept"), suppress_health_check=list(HealthCheck))
@given(schedules(nodes=(1,), mutant="applied_twice_after_restart", workload="kv", rough=False,
                 faults=("kill",), faults_max=2, operations_max=5, time_limit_ms=500,
                 quiet_timeout_ms=1_000))
def test_it(schedule):
    with open("tried", "a") as file:
        file.write(".")
    check_schedule(schedule)
"""


@settings(deadline=None, max_examples=15, derandomize=True)
@given(schedules(time_limit_ms=800, operations_max=10))
def test_no_schedule_breaks_the_correct_member(schedule: Schedule) -> None:
    check_schedule(schedule)


@settings(deadline=None, max_examples=8, derandomize=True)
@given(schedules(
    time_limit_ms=800, operations_max=10,
    faults=("loss", "corruption", "half_open", "slow_receiver"),
))
def test_no_fault_of_packets_or_connections_breaks_the_correct_member(schedule: Schedule) -> None:
    assert parse_schedule(as_text(schedule)) == schedule
    check_schedule(schedule)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(schedules(workload="register"))
def test_a_drawn_schedule_can_be_written_and_executed(schedule: Schedule) -> None:
    assert parse_schedule(as_text(schedule)) == schedule
    faults = [one.fault for one in schedule.faults]
    steps = [fault.operation for fault in faults if isinstance(fault, AtStep)]
    assert all(number <= len(schedule.operations) for number in steps)


SEEDED = FINDS_IT.replace("@settings", "from hypothesis import seed\n@seed(2)\n@settings", 1)
"""Hypothesis limits the number of its attempts to shrink. With a seed the result is always the
same, but a failing example is not kept."""


def run_it(source: str, folder: Path) -> tuple[str, int]:
    """The output of a failing test, and the number of examples that it tried."""
    (folder / "test_found.py").write_text(source)
    (folder / "tried").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_found.py"],
        cwd=folder, capture_output=True, text=True, timeout=200, check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the run is invalid" in done.stdout
    return done.stdout, len((folder / "tried").read_text())


def test_a_planted_bug_shrinks_and_is_printed_as_a_test(tmp_path: Path) -> None:
    output, _ = run_it(SEEDED, tmp_path)
    plain = re.sub(r"(?m)^E ", "  ", output)
    text = re.search(r'splitbrain_schedule\(r"""\n(.*?)"""', plain, re.DOTALL)
    assert text is not None
    faults, operations = parse_schedule(text[1]).size
    assert faults <= 2
    assert operations <= 3


def test_a_schedule_that_fails_is_kept(tmp_path: Path) -> None:
    run_it(FINDS_IT, tmp_path)
    assert any((tmp_path / "kept").rglob("*"))
    _, tried = run_it(FINDS_IT, tmp_path)
    assert tried < 100, "the failure was not kept: hypothesis searched anew"


def test_an_unknown_workload_or_fault_is_refused_by_its_name() -> None:
    @given(schedules(workload="queue"))
    def of_a_queue(_: Schedule) -> None: ...

    @given(schedules(faults=("flood",)))
    def of_a_flood(_: Schedule) -> None: ...

    with pytest.raises(BadArguments, match="workload='queue': expected one of kv, register"):
        of_a_queue()
    with pytest.raises(BadArguments, match="faults: 'flood' is not one of kill"):
        of_a_flood()
