"""Limits of a process that several faults set at once end with the last of these faults."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from splitbrain.nemesis.linux.limits import FILES, LimitsInForce
from splitbrain.nemesis.linux.undo_journal import Journal


@pytest.fixture
def pid() -> Iterator[int]:
    process = subprocess.Popen(("sleep", "600"))
    yield process.pid
    process.kill()
    process.wait()


def soft(pid: int) -> int:
    return resource.prlimit(pid, FILES)[0]


@pytest.mark.parametrize("first_ends_first", [True, False])
def test_the_lowest_limit_is_in_force_and_the_former_one_returns(
    pid: int, tmp_path: Path, first_ends_first: bool
) -> None:
    before = soft(pid)
    limits = LimitsInForce(Journal(tmp_path))
    removals = [limits.add(pid, FILES, 10), limits.add(pid, FILES, 20)]
    assert soft(pid) == 10
    if not first_ends_first:
        removals.reverse()
    removals[0]()
    assert soft(pid) == (20 if first_ends_first else 10)
    removals[0]()
    removals[1]()
    assert soft(pid) == before
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_has_ended_needs_no_former_limit(tmp_path: Path) -> None:
    with subprocess.Popen(("sleep", "600")) as process:
        limits = LimitsInForce(Journal(tmp_path))
        removals = [limits.add(process.pid, FILES, 10), limits.add(process.pid, FILES, 20)]
        process.kill()
    for remove in removals:
        remove()
    assert list(tmp_path.iterdir()) == []
