"""Creates a user's project whose packages have the names of the folders of this repository."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

FOLDERS = ("harness", "node", "nemesis", "checkers", "histories", "tests")
IMPORTED = "imported.txt"

PACKAGE = """
import pathlib
import sys

with (pathlib.Path(__file__).parents[1] / "imported.txt").open("a") as log:
    print(sys.argv[0], __name__, file=log)
"""
"""Each package writes the program that imports it to a file in the project's root folder."""

TESTS = """
import pytest
import splitbrain
from hypothesis import given, settings
from splitbrain import Put, Range, check_schedule, schedules

from checkers import parts as of_checkers
from harness import parts as of_harness
from histories import parts as of_histories
from nemesis import parts as of_nemesis
from node import parts as of_node
from tests import parts as of_tests


def test_the_imported_packages_are_the_projects() -> None:
    modules = (of_harness, of_node, of_nemesis, of_checkers, of_histories, of_tests)
    names = [module.OWNER for module in modules]
    assert names == ["harness", "node", "nemesis", "checkers", "histories", "tests"]


def test_splitbrain_is_the_installed_package() -> None:
    assert "site-packages" in splitbrain.__file__


@pytest.mark.splitbrain(nodes=[3], time_limit_s=2, heartbeat_ms=50, election_ms=400)
def test_a_run_is_valid(splitbrain_run) -> None:
    assert splitbrain_run(nemesis=["partition"]).valid


@pytest.mark.splitbrain(system="simulated", nodes=[3], time_limit_s=1, rate=50)
def test_a_simulated_run_is_valid(splitbrain_run) -> None:
    assert splitbrain_run(nemesis=["kill"]).valid


@pytest.mark.splitbrain(nodes=[1])
def test_a_cluster_answers(splitbrain_cluster) -> None:
    (member,) = splitbrain_cluster.members
    assert splitbrain_cluster.call(member, Put("k", "v")).outcome == "ok"
    assert splitbrain_cluster.call(member, Range("k")).result.kvs[0].value == "v"


@settings(max_examples=2, deadline=None)
@given(schedules(nodes=(3,), operations_max=4, faults_max=1, time_limit_ms=500))
def test_a_schedule_is_valid(schedule) -> None:
    check_schedule(schedule)
"""

TYPED = """
from splitbrain import History, Options, RunResult, Verdict, read_options, run_sync

options: Options = read_options({"time_limit_s": 1})
result: RunResult = run_sync(options)
reveal_type(result.valid)


def judge(history: History) -> Verdict:
    reveal_type(history.operations[0].node)
    return Verdict("mine", valid="yes")
"""


def make_project(folder: Path) -> Path:
    """Write the project to `folder`. Its folder `splitbrain/` contains notes and no module."""
    for name in FOLDERS:
        write(folder / name / "__init__.py", PACKAGE)
        write(folder / name / "parts.py", f"OWNER = {name!r}\n")
    write(folder / "tests" / "test_with_splitbrain.py", TESTS)
    write(folder / "typed.py", TYPED)
    write(folder / "splitbrain" / "notes.md", "Results of the last runs.\n")
    write(folder / "pyproject.toml", '[project]\nname = "shop"\nversion = "1"\n')
    return folder


def make_hostile_folder(folder: Path) -> Path:
    """Write modules to `folder` that raise and have the names of modules that a member imports."""
    for name in ("splitbrain/__init__", "asyncio", "json", "queue", "random", "struct", "click"):
        write(folder / f"{name}.py", "raise RuntimeError(f'{__file__} is imported')\n")
    return folder


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text).lstrip("\n"))
