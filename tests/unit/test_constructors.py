"""Constructors with more than four parameters take keywords.

A call with many positional arguments cannot be read without the definition, and a new parameter
in the middle silently shifts the others. The test reads the source of all project modules:

- no `__init__` has more than four positional parameters besides `self`;
- no call passes more than four positional arguments to a dataclass, `NamedTuple` or msgspec
  struct of the project.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("harness", "node", "nemesis", "checkers", "histories", "splitbrain")
POSITIONAL_MAX = 4

EXCEPTIONS: dict[str, str] = {
}
"""Class → the reason why it is constructed with more positional arguments."""


def sources(folders: tuple[str, ...]) -> Iterator[tuple[Path, ast.Module]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not (ROOT / folder / path.relative_to(ROOT / folder).parts[0]).is_symlink():
                yield path.relative_to(ROOT), ast.parse(path.read_text())


MODULES = tuple(sources(FOLDERS))


def names_in(node: ast.expr) -> set[str]:
    """The last parts of the names in a decorator or base class, such as `Struct`."""
    return {
        one.attr if isinstance(one, ast.Attribute) else one.id
        for one in ast.walk(node) if isinstance(one, ast.Attribute | ast.Name)
    }


def record_classes() -> dict[str, int]:
    """The dataclasses, named tuples and structs of the project, with their number of fields."""
    found: dict[str, int] = {}
    for _, module in MODULES:
        for node in ast.walk(module):
            if not isinstance(node, ast.ClassDef):
                continue
            marks = set[str]().union(*map(names_in, [*node.decorator_list, *node.bases]))
            if marks & {"dataclass", "Struct", "NamedTuple"} or marks & found.keys():
                fields = sum(isinstance(one, ast.AnnAssign) for one in node.body)
                inherited = max((found.get(mark, 0) for mark in marks), default=0)
                found[node.name] = max(found.get(node.name, 0), fields + inherited)
    return found


def positional_parameters(function: ast.FunctionDef) -> int:
    arguments = function.args
    return len(arguments.posonlyargs) + len(arguments.args) - 1


def test_no_init_has_more_than_four_positional_parameters() -> None:
    found = [
        f"{path}:{one.lineno}: {node.name}.__init__ has {positional_parameters(one)}"
        for path, module in MODULES
        for node in ast.walk(module) if isinstance(node, ast.ClassDef)
        for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"
        and positional_parameters(one) > POSITIONAL_MAX and node.name not in EXCEPTIONS
    ]
    assert not found, "\n".join(["make the parameters keyword-only (`*`):", *found])


def test_no_record_is_constructed_with_more_than_four_positional_arguments() -> None:
    large = {name for name, fields in record_classes().items() if fields > POSITIONAL_MAX}
    found = []
    for path, module in MODULES:
        for node in ast.walk(module):
            if not isinstance(node, ast.Call):
                continue
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(
                function, "id", ""
            )
            count = len(node.args)
            if name in large - EXCEPTIONS.keys() and count > POSITIONAL_MAX:
                found.append(f"{path}:{node.lineno}: {name}(…) with {count} positional arguments")
    assert not found, "\n".join(["pass the arguments as keywords:", *found])


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_every_exception_is_a_class_of_the_project(name: str) -> None:
    assert any(
        isinstance(node, ast.ClassDef) and node.name == name
        for _, module in MODULES for node in ast.walk(module)
    )
