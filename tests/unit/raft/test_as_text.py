"""The files in `testdata`: see `interpreter` for what their commands mean.

`SPLITBRAIN_REWRITE=1 pytest tests/unit/raft` renews what they expect; review the diff.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.raft.interpreter import Interpreter, blocks, rewritten

FILES = sorted((Path(__file__).parent / "testdata").glob("*.txt"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_members_do_what_the_text_says(path: Path) -> None:
    if os.environ.get("SPLITBRAIN_REWRITE"):
        path.write_text(rewritten(path))
        return
    interpreter = Interpreter()
    for _, commands, expected in blocks(path.read_text()):
        if commands:
            assert interpreter.run(commands) == expected, "\n".join(commands)


def test_there_are_texts_to_run() -> None:
    assert len(FILES) >= 8
