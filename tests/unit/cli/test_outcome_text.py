"""A verdict on the terminal."""

from __future__ import annotations

import click
import pytest

from splitbrain.checkers.verdict import Verdict
from splitbrain.harness.cli.outcome_text import print_failed_faults, verdict_line
from splitbrain.harness.judging.result_text import count_lines
from splitbrain.harness.store.records import FaultCount


@pytest.mark.parametrize(
    ("verdict", "message"),
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
    verdict: Verdict, message: str
) -> None:
    assert click.unstyle(verdict_line(verdict)) == message


def test_operations_are_counted_by_function() -> None:
    row = {"ok": 3, "fail": 1, "info": 0}
    assert count_lines({"all": row, "put": row, "final_read": {"ok": 2}}) == [
        "3 ok, 1 fail, 0 info",
        "  put         3 ok, 1 fail, 0 info",
        "  final_read  2 ok",
    ]
    assert count_lines({}) == ["none"]


def test_the_number_of_failed_faults_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    came = FaultCount(0, "kill", ("n1",), 5, 9, {})
    print_failed_faults([came])
    assert not capsys.readouterr().out
    print_failed_faults([came, FaultCount(1, "pause", (), 5, 9, {}, "it would not stand still")])
    message = "1 of 2 faults failed, the first: pause: it would not stand still\n"
    assert click.unstyle(capsys.readouterr().out) == message
