"""Runs the files in `testdata`; `interpreter` describes their commands.

`SPLITBRAIN_REWRITE=1 pytest tests/unit/raft` renews their expected output; review the diff.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.raft.interpreter import Interpreter, blocks, rewritten

FILES = sorted((Path(__file__).parent / "testdata").glob("*.txt"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_output_of_each_text_is_the_expected_output(path: Path) -> None:
    if os.environ.get("SPLITBRAIN_REWRITE"):
        path.write_text(rewritten(path))
        return
    interpreter = Interpreter()
    for _, commands, expected in blocks(path.read_text()):
        if commands:
            assert interpreter.run(commands) == expected, "\n".join(commands)


def test_at_least_eight_texts_are_found() -> None:
    assert len(FILES) >= 8
