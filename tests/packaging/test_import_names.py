"""Everything is imported as `splitbrain.…`, and nothing outside `tests/` imports `tests`."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packaging.build import ROOT

FOLDERS = ("checkers", "harness", "histories", "nemesis", "node")
HERE = Path(__file__).parent
"""The tests in this folder contain code that imports the packages of a user's project."""


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imports(source: str, packages: tuple[str, ...]) -> Iterator[str]:
    """The modules of `packages` that `source` imports, or names in a text."""
    for part in ast.walk(ast.parse(source)):
        match part:
            case ast.Import(names=names):
                modules = [one.name for one in names]
            case ast.ImportFrom(module=str(module), level=0):
                modules = [module]
            case ast.Constant(value=str(text)):
                modules = [*modules_named_in(text)]
            case _:
                continue
        yield from (one for one in modules if one.partition(".")[0] in packages)


def modules_named_in(text: str) -> Iterator[str]:
    """The module that the whole text names, as an argument of `python -m` does, and the
    modules that its lines import, if it is code for `python -c`."""
    name = text.partition(":")[0]
    if re.fullmatch(r"\w+(\.\w+)+", name) and (ROOT / name.replace(".", "/")).with_suffix(
        ".py"
    ).is_file():
        yield name
    yield from re.findall(r"^\s*from ([\w.]+) import \w", text, re.MULTILINE)
    yield from re.findall(r"^\s*import ([\w.]+)$", text, re.MULTILINE)


def found_in(paths: list[Path], packages: tuple[str, ...]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}: {module}"
        for path in paths for module in imports(path.read_text(), packages)
    ]


def test_no_module_imports_a_folder_without_the_prefix() -> None:
    paths = sources(*FOLDERS, "tests")
    assert len(paths) > 500
    assert found_in([one for one in paths if one.parent != HERE], FOLDERS) == []


def test_nothing_outside_tests_imports_tests() -> None:
    public = ROOT / "splitbrain" / "__init__.py"
    assert found_in([*sources(*FOLDERS), public], ("tests",)) == []


@pytest.mark.parametrize(("source", "module"), [
    ("import node", "node"),
    ("def later():\n    from node.apply import apply", "node.apply"),
    ("CODE = 'import sys\\nfrom node import apply'", "node"),
    ("COMMAND = ('python', '-m', 'node.server')", "node.server"),
    ("SYSTEM = 'node.server:Server'", "node.server"),
])  # fmt: skip
def test_an_import_without_the_prefix_is_found(source: str, module: str) -> None:
    assert [*imports(source, FOLDERS)] == [module]


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("code", ["import {}", "from {} import something", "import {}.something"])
def test_ruff_reports_an_import_without_the_prefix(folder: str, code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--stdin-filename", "tests/planted.py", "-"],
        input=code.format(folder) + "\n", cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "TID251" in done.stdout
    assert f"import splitbrain.{folder}" in done.stdout
