"""Functions have at most 70 lines, and files at most 500."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("harness", "node", "nemesis", "checkers", "histories", "splitbrain", "tests")
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70


def sources() -> Iterator[tuple[Path, str]]:
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            yield path.relative_to(ROOT), path.read_text(encoding="utf-8")


def long_parts(path: Path, text: str) -> Iterator[str]:
    if (lines := text.count("\n")) > FILE_LINES_MAX:
        yield f"{path}: {lines} lines"
    if lines <= FUNCTION_LINES_MAX:
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield f"{path}: {node.name} has {lines} lines"


def test_no_file_and_no_function_is_too_long() -> None:
    assert [part for path, text in sources() for part in long_parts(path, text)] == []


def test_a_long_function_and_a_long_file_are_found() -> None:
    function = "def f():\n" + "    pass\n" * FUNCTION_LINES_MAX
    assert list(long_parts(Path("a.py"), function)) == ["a.py: f has 71 lines"]
    assert list(long_parts(Path("a.py"), "\n" * 501)) == ["a.py: 501 lines"]
    assert list(long_parts(Path("a.py"), "\n" * 500)) == []
