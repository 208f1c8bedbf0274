"""What a terminal shows of a verdict."""

from __future__ import annotations

import click
import pytest

from checkers.verdict import Verdict
from harness.commands.outcome_text import verdict_line


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (Verdict("mvcc", True), "  valid    mvcc (0.0 s)"),
        (Verdict("mvcc", False), "  INVALID  mvcc (0.0 s)"),
        (Verdict("mvcc", None, why="no state"), "  unknown  mvcc (0.0 s)  no state"),
        (
            Verdict("set_full", True, why="not applicable: nothing was added"),
            "  -        set_full (0.0 s)  not applicable: nothing was added",
        ),
    ],
)
def test_a_checker_without_anything_to_judge_is_not_shown_as_valid(
    verdict: Verdict, said: str
) -> None:
    assert click.unstyle(verdict_line(verdict)) == said
