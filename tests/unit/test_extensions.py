"""Errors in classes of users are reported in one line, before a run begins."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from splitbrain.harness import user_classes
from splitbrain.harness.errors import BadArguments
from splitbrain.harness.systems.catalogue import load_system, systems
from splitbrain.harness.workloads.catalogue import make_workload, workloads

NEEDS_A_SIZE = """
class Mine:
    name, description, checkers = "mine", "", ()
    def __init__(self, size): self.size = size
    def operations(self, chance, client): ...
    def final_operations(self, clients): return ()
A_NUMBER = 7
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Writes a module into the working directory and returns its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def write(source: str) -> str:
        name = f"own_{abs(hash(source)) % 10**9}"
        (tmp_path / f"{name}.py").write_text(source)
        return name

    return write


@pytest.mark.parametrize(("source", "said"), [
    ("x = = 1\n", "SyntaxError: invalid syntax (own_"),
    ("\nnames.append(1)\n", "NameError: name 'names' is not defined (own_"),
    ("import no_such_module\n", "No module named 'no_such_module'"),
    ("pass\n", "has no Thing"),
])
def test_a_module_that_cannot_be_imported_is_reported_with_the_line(
    module: Callable[[str], str], source: str, said: str
) -> None:
    for load in (load_system, lambda path: make_workload(path, {})):
        with pytest.raises(BadArguments) as told:
            load(f"{module(source)}:Thing")
        assert said in str(told.value)


def test_a_workload_without_its_option_and_one_that_is_not_a_class_are_refused(
    module: Callable[[str], str],
) -> None:
    name = module(NEEDS_A_SIZE)
    with pytest.raises(BadArguments, match="needs its option: -o size="):
        make_workload(f"{name}:Mine", {})
    mine: Any = make_workload(f"{name}:Mine", {"size": 3})
    assert mine.size == 3
    with pytest.raises(BadArguments, match="is not a workload: expected a class"):
        make_workload(f"{name}:A_NUMBER", {})


def test_a_broken_package_affects_only_its_own_entry_points(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = EntryPoint("broken", "no_such_module:Thing", "some.group")
    monkeypatch.setattr(user_classes, "_entry_points", lambda _group, _path: {"broken": broken})
    assert "an installed package" in workloads()["broken"]
    assert "an installed package" in systems()["broken"]
    assert make_workload("register", {}).name == "register"
    for load in (load_system, lambda name: make_workload(name, {})):
        with pytest.raises(BadArguments, match="No module named 'no_such_module'"):
            load("broken")
