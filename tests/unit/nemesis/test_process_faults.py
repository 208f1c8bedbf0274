"""Faults of real processes are drawn, written and read, and refused where they are impossible."""

from __future__ import annotations

from pathlib import Path

import pytest

from splitbrain.harness.drawing.schedule_drawing import draw_schedule
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.runs.execute import open_folder
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.schedule.text import as_text, parse_schedule
from splitbrain.harness.systems.etcd_like.etcd_failpoints import STEP_AREAS
from splitbrain.harness.systems.factory import capabilities_of
from splitbrain.nemesis.fault import AtStep
from splitbrain.nemesis.linux import strace

SCHEDULE = """
    seed 1
    members n1 n2 n3
    option system "etcd"
    300 ms  syscall leader {"do":"kill","nth":20} until 900 ms seed 3
    lasts 2000 ms
"""


def test_a_schedule_with_a_fault_of_system_calls_is_equal_after_writing_and_reading() -> None:
    schedule = parse_schedule(SCHEDULE)
    assert parse_schedule(as_text(schedule)) == schedule


def test_the_simulation_has_no_faults_of_processes() -> None:
    assert "syscall" not in capabilities_of(Options(system="simulated"))
    assert {"syscall", "step"} <= capabilities_of(Options(system="etcd"))


def test_a_run_whose_faults_this_machine_cannot_inject_is_refused_before_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install it (Debian: strace)" in strace.missing()
    schedule = parse_schedule(SCHEDULE.replace('"etcd"', '"python_node"'))
    with pytest.raises(BadArguments, match="fault syscall cannot be injected on this machine"):
        open_folder(schedule)


def test_faults_at_steps_of_etcd_are_drawn_only_at_steps_that_it_has() -> None:
    options = Options(system="etcd", nemesis=("step",), time_limit_s=600, rate=1, seed=1)
    steps = {
        one.fault.failpoint.partition("_")[2] for one in draw_schedule(options).faults
        if isinstance(one.fault, AtStep)
    }
    assert steps == set(STEP_AREAS)
