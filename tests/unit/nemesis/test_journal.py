"""What a killed harness has changed on this machine is undone by the next run."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from splitbrain.nemesis.linux import undo_journal
from splitbrain.nemesis.linux.stop_process import is_stopped
from splitbrain.nemesis.linux.undo_journal import (
    ChangedLimit,
    Identity,
    Journal,
    StoppedProcess,
    identity,
    undo_leftovers,
)

FILES = resource.RLIMIT_NOFILE


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(("sleep", "100")) as process:
        yield process
        process.kill()


def killed_run(folder: Path, pid: int, *, settled: bool) -> None:
    """A process that changes `pid` and is killed before it has undone all of its changes."""
    code = f"""
import os, resource, signal
from pathlib import Path
from splitbrain.nemesis.linux.undo_journal import ChangedLimit, Journal, StoppedProcess, identity
journal, process = Journal(Path({str(folder)!r})), identity({pid})
limit = journal.note(ChangedLimit(process, {FILES}, *resource.prlimit({pid}, {FILES})))
resource.prlimit({pid}, {FILES}, (7, resource.prlimit({pid}, {FILES})[1]))
journal.note(StoppedProcess(process))
os.kill({pid}, signal.SIGSTOP)
if {settled}:
    journal.settle(limit)
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run((sys.executable, "-c", code), check=False).returncode == -signal.SIGKILL


def test_changes_of_a_killed_run_are_undone_once(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    before = resource.prlimit(sleeper.pid, FILES)
    killed_run(tmp_path, sleeper.pid, settled=False)
    assert resource.prlimit(sleeper.pid, FILES)[0] == 7
    assert undo_leftovers(tmp_path) == 2
    assert resource.prlimit(sleeper.pid, FILES) == before
    assert not is_stopped(sleeper.pid)
    assert undo_leftovers(tmp_path) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_settled_change_is_not_undone_again(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    killed_run(tmp_path, sleeper.pid, settled=True)
    assert undo_leftovers(tmp_path) == 1
    assert resource.prlimit(sleeper.pid, FILES)[0] == 7


def test_changes_of_a_run_that_still_runs_are_left_alone(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    own = Journal(tmp_path)
    number = own.note(StoppedProcess(identity(sleeper.pid)))
    assert undo_leftovers(tmp_path) == 0
    own.settle(number)
    assert list(tmp_path.iterdir()) == []


def test_a_process_with_the_same_pid_that_started_later_is_left_alone(
    sleeper: subprocess.Popen[bytes],
) -> None:
    earlier = Identity(sleeper.pid, identity(sleeper.pid).started - 1)
    assert not undo_journal.undo(ChangedLimit(earlier, FILES, 3, 3))
    assert resource.prlimit(sleeper.pid, FILES)[0] != 3
