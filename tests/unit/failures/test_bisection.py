"""The bisection finds the first bad commit, and leaves the user's work tree alone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from splitbrain.harness.cli.main import run_main
from splitbrain.harness.drawing.schedule_drawing import draw_schedule
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.failures.bisection import State, bisect
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.store.run_folder import RunFolder

ROOT = Path(__file__).parents[3]
IDENTITY = ("-c", "user.name=t", "-c", "user.email=t@localhost")


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", *IDENTITY, *words], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def repository(folder: Path, contents: list[str], name: str = "state") -> Path:
    """A repository with a commit for each of `contents`, tagged c0, c1, …"""
    folder.mkdir()
    git(folder, "init", "--quiet")
    for number, content in enumerate(contents):
        (folder / name).write_text(content)
        (folder / "number").write_text(str(number))
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "--message", f"change {number}")
        git(folder, "tag", f"c{number}")
    return folder


def judge(folder: Path) -> State:
    states: dict[str, State] = {"good": "good", "bad": "bad"}
    return states.get((folder / "state").read_text(), "skip")


def found(repo: Path, good: str, bad: str) -> str:
    return [one.subject for one in bisect(repo, good, bad, judge) if one.state == "bad"][-1]


@pytest.mark.parametrize("first_bad", range(1, 8))
def test_the_first_bad_commit_is_found(tmp_path: Path, first_bad: int) -> None:
    states = ["good"] * first_bad + ["bad"] * (8 - first_bad)
    repo = repository(tmp_path / "repo", states)
    (repo / "state").write_text("a change of the user")
    assert found(repo, "c0", "c7") == f"change {first_bad}"
    assert (repo / "state").read_text() == "a change of the user"
    assert len(git(repo, "worktree", "list").splitlines()) == 1
    assert git(repo, "status", "--short") == "M state"


def test_commits_that_cannot_be_judged_are_skipped(tmp_path: Path) -> None:
    states = ["good", "good", "good", "bad", "broken", "broken", "bad", "bad"]
    assert found(repository(tmp_path / "repo", states), "c0", "c7") == "change 3"


def test_it_is_an_error_if_only_skipped_commits_are_left(tmp_path: Path) -> None:
    repo = repository(tmp_path / "repo", ["good", "broken", "broken", "bad"])
    with pytest.raises(BadArguments, match="cannot be decided"):
        found(repo, "c0", "c3")


@pytest.mark.parametrize(("good", "bad", "because"), [
    ("c2", "c3", "--good c2: .* is bad, expected good"),
    ("c0", "c1", "--bad c1: .* is good, expected bad"),
    ("c0", "no-such-commit", "is not a commit"),
])
def test_commits_that_are_not_what_was_said_are_refused(
    tmp_path: Path, good: str, bad: str, because: str
) -> None:
    repo = repository(tmp_path / "repo", ["good", "good", "bad", "bad"])
    with pytest.raises(BadArguments, match=because):
        found(repo, good, bad)


STORE = '''
from tests.unit.fake_store import FakeStore, FakeSystem

class Store(FakeStore):
    def range(self, request):
        answer = super().range(request)
        if {wrong}:
            answer.pop("kvs", None)
        return answer

class System(FakeSystem):
    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        self.store = Store()
'''


def test_the_command_bisects_the_users_own_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    contents = [STORE.format(wrong=wrong) for wrong in (False, "0", True, "1")]
    repo = repository(tmp_path / "repo", contents, "users_store.py")
    options = Options(
        system="users_store:System", workload="register", nemesis=(), nodes=(1,), seed=3,
        time_limit_s=0.4, rate=100.0, request_timeout_ms=300,
    )
    monkeypatch.syspath_prepend(str(repo))
    schedule = tmp_path / "run"
    schedule.mkdir()
    RunFolder(schedule).write_schedule(draw_schedule(options))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT)]))
    arguments = ["bisect", "--good", "c0", "--bad", "c3", "--repository", str(repo)]
    assert run_main([*arguments, str(schedule)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("change 2")
