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

EXCEPTIONS: dict[tuple[str, str], str] = {
    **dict.fromkeys([
        ("node/raft/election.py", "Message"),
        ("node/raft/follower.py", "Message"),
        ("node/raft/replication.py", "Message"),
        ("node/raft/raft.py", "Ready"),
    ], "constructed for each message and each step of Raft"),
    ("node/storage/wal_record.py", "Record"): "constructed for each record of the log",
    ("node/step_trace.py", "TraceEvent"): "constructed at each step of each write",
    **dict.fromkeys([
        ("node/mvcc/write_transaction.py", "KeyValue"),
        ("harness/clients/json_messages.py", "KeyValue"),
        ("checkers/model/evaluation.py", "KeyValue"),
        ("checkers/model/sequential_store.py", "KeyValue"),
        ("checkers/model/sequential_store.py", "Change"),
        ("checkers/watch/expected_events.py", "KeyValue"),
    ], "constructed for each revision of a key; the order of the fields is etcd's"),
    **dict.fromkeys([
        ("histories/reader.py", "Event"),
        ("histories/reader.py", "Operation"),
        ("histories/recorder.py", "_Event"),
    ], "constructed for each event and each operation of a history"),
    **dict.fromkeys([
        ("checkers/linearizable/checker.py", "Operation"),
        ("checkers/porcupine/check.py", "Operation"),
        ("checkers/porcupine/search.py", "_Choice"),
        ("checkers/mvcc/writer_search.py", "_Choice"),
    ], "constructed for each operation or each step of a search"),
}
"""Module and class → the reason why the module passes more positional arguments. These calls are
in the innermost loops. Keywords cost time there for dataclasses and plain classes (2.6 µs or
3.8 µs for `porcupine.Operation`)."""


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


def called_name(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def positional_parameters(function: ast.FunctionDef) -> int:
    arguments = function.args
    return len(arguments.posonlyargs) + len(arguments.args) - 1


def test_no_init_has_more_than_four_positional_parameters() -> None:
    found = [
        f"{path}:{one.lineno}: {node.name}.__init__ has {positional_parameters(one)}"
        for path, module in MODULES
        for node in ast.walk(module) if isinstance(node, ast.ClassDef)
        for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"
        and positional_parameters(one) > POSITIONAL_MAX
        and (str(path), node.name) not in EXCEPTIONS
    ]
    assert not found, "\n".join(["make the parameters keyword-only (`*`):", *found])


def test_no_record_is_constructed_with_more_than_four_positional_arguments() -> None:
    large = {name for name, fields in record_classes().items() if fields > POSITIONAL_MAX}
    found = []
    for path, module in MODULES:
        for node in ast.walk(module):
            if not isinstance(node, ast.Call):
                continue
            name, count = called_name(node), len(node.args)
            if name in large and count > POSITIONAL_MAX and (str(path), name) not in EXCEPTIONS:
                found.append(f"{path}:{node.lineno}: {name}(…) with {count} positional arguments")
    assert not found, "\n".join(["pass the arguments as keywords:", *found])


@pytest.mark.parametrize(("path", "name"), EXCEPTIONS)
def test_every_exception_is_still_needed(path: str, name: str) -> None:
    (module,) = [module for one, module in MODULES if str(one) == path]
    calls = [node for node in ast.walk(module) if isinstance(node, ast.Call)]
    assert any(called_name(call) == name and len(call.args) > POSITIONAL_MAX for call in calls)
