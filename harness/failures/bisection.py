"""Finds the commit that made a schedule fail, by `git bisect` in a temporary work tree.

The user's own work tree stays unchanged, because every commit is checked out into the temporary
one.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from splitbrain.harness.errors import BadArguments, SplitbrainError
from splitbrain.harness.exit_codes import EXIT_INVALID, EXIT_VALID

State = Literal["good", "bad", "skip"]
"""The state of a commit: good if its run is valid, bad if its run is invalid, skipped if neither is
known."""
Judge = Callable[[Path], State]
"""A function that judges the commit that is checked out in a folder."""
FIRST_BAD = re.compile(r"^([0-9a-f]{7,64}) is the first (?:bad|'?bad'?) commit", re.MULTILINE)
ONLY_SKIPPED = "only 'skip'ped commits left"


class Tried(msgspec.Struct, frozen=True):
    """A commit that was judged, and its state."""

    commit: str
    subject: str
    state: State


class GitFailed(SplitbrainError):
    """A git command failed. The message contains its output."""


def bisect(repository: Path, good: str, bad: str, judge: Judge) -> Iterator[Tried]:
    """Judge commits between `good` and `bad` until the first bad one is found, and yield each.

    The last commit that is yielded with the state "bad" is the first bad commit. Raises
    BadArguments if a commit does not exist, if `good` is not good or `bad` is not bad, or if only
    commits are left that cannot be judged.
    """
    commits = {name: _commit(repository, name) for name in (good, bad)}
    with _worktree(repository, commits[good]) as folder:
        for name, expected in ((good, "good"), (bad, "bad")):
            _git(folder, "checkout", "--quiet", "--force", "--detach", commits[name])
            tried = _tried(folder, judge)
            yield tried
            if tried.state != expected:
                state = "not decided" if tried.state == "skip" else tried.state
                raise BadArguments(f"--{expected} {name}: the schedule's run at this commit is "
                                   f"{state}, expected {expected}")
        output = _git(folder, "bisect", "start", commits[bad], commits[good])
        last: Tried | None = None
        while (first := FIRST_BAD.search(output)) is None:
            if ONLY_SKIPPED in output:
                raise BadArguments(f"the first bad commit cannot be decided: {output.strip()}")
            last = _tried(folder, judge)
            yield last
            output = _git(folder, "bisect", last.state, accept=(0, 2))
        if last is None or not first[1].startswith(last.commit) or last.state != "bad":
            yield _described(folder, first[1], "bad")


def replay_judge(schedule: Path, times: int, build: str = "", timeout_s: float = 600.0) -> Judge:
    """Make a judge that replays `schedule` with the sources of the commit, at most `times` times.

    The commit's folder comes first in the module path, so that both this project's own store and a
    user's system are those of the commit. `build` is a shell command that the judge runs in the
    folder before the replay.
    """
    schedule = schedule.absolute()

    def judge(folder: Path) -> State:
        if build and subprocess.run(build, shell=True, cwd=folder, check=False).returncode:
            return "skip"
        program = "from splitbrain.harness.cli.main import main; main()"
        path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
        with tempfile.TemporaryDirectory(prefix="splitbrain-bisect-") as store:
            arguments = ["replay", str(schedule), "--times", str(times), "--quiet"]
            try:
                done = subprocess.run(
                    [sys.executable, "-c", program, *arguments, "--store", store], cwd=folder,
                    env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL, timeout=timeout_s, check=False,
                )
            except subprocess.TimeoutExpired:
                return "skip"
        states: dict[int, State] = {EXIT_VALID: "good", EXIT_INVALID: "bad"}
        return states.get(done.returncode, "skip")

    return judge


def _tried(folder: Path, judge: Judge) -> Tried:
    return _described(folder, "HEAD", judge(folder))


def _described(folder: Path, name: str, state: State) -> Tried:
    commit, _, subject = _git(folder, "show", "-s", "--format=%h %s", name).strip().partition(" ")
    return Tried(commit, subject, state)


@contextmanager
def _worktree(repository: Path, commit: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="splitbrain-bisect-") as parent:
        folder = Path(parent) / "tree"
        _git(repository, "worktree", "add", "--quiet", "--detach", str(folder), commit)
        try:
            yield folder
        finally:
            _git(folder, "bisect", "reset", accept=(0, 1))
            _git(repository, "worktree", "remove", "--force", str(folder))


def _commit(repository: Path, name: str) -> str:
    try:
        return _git(repository, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").strip()
    except GitFailed:
        raise BadArguments(f"{name} is not a commit of {repository}") from None


def _git(folder: Path, *words: str, accept: tuple[int, ...] = (0,)) -> str:
    """Run a git command in `folder`, and return its output.

    Raises GitFailed if the exit code is not in `accept`.
    """
    done = subprocess.run(
        ["git", *words], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    if done.returncode not in accept:
        raise GitFailed(f"git {' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
