"""The verdict of a run is printed on the terminal with everything that a user needs."""

from __future__ import annotations

import click
import pytest

from splitbrain.checkers.verdict import Anomaly, Verdict, grouped
from splitbrain.harness.cli.outcome_text import (
    lines_without_effect,
    print_failed_faults,
    print_verdicts,
    verdict_line,
)
from splitbrain.harness.judging.result_text import count_lines, summary
from splitbrain.harness.store.records import FaultCount, Results


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


def many() -> Verdict:
    """Three stale reads around one lost write, and a thousand more that were only counted."""
    anomalies = [Anomaly("stale read", f"stale {n}", (n,)) for n in range(3)]
    anomalies.insert(2, Anomaly("lost write", "a write is gone"))
    return grouped(Verdict("mvcc", False, tuple(anomalies), kinds={"stale read": 1003}))


def test_a_frequent_kind_of_anomaly_does_not_hide_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_verdicts([many()])
    assert click.unstyle(capsys.readouterr().out).splitlines() == [
        "  INVALID  mvcc (0.0 s)  stale read (1,003), lost write (1)",
        "    stale read: stale 0  [events 0]",
        "    stale read: stale 1  [events 1]",
        "    … and 1,001 more: stale read",
        "    lost write: a write is gone",
    ]


def test_the_results_contain_the_anomalies_by_kind_and_their_numbers() -> None:
    verdict = many()
    assert verdict.kinds == {"stale read": 1003, "lost write": 1}
    assert [one.kind for one in verdict.anomalies] == ["stale read"] * 3 + ["lost write"]
    assert verdict.anomaly_count == 1004
    assert grouped(verdict) == verdict
    assert grouped(Verdict("mvcc", True)) == Verdict("mvcc", True)


def test_a_summary_has_the_first_anomaly_of_each_kind() -> None:
    text = summary(Results(
        valid=False, verdicts=(many(), Verdict("watch", None, why="no log")), operations={},
        faults=(), reproduce="",
    ))
    assert text.splitlines() == [
        "mvcc: INVALID (stale read (1,003), lost write (1)): stale read: stale 0; "
        "lost write: a write is gone",
        "watch: unknown: no log",
    ]


def test_faults_without_an_effect_are_counted_by_kind() -> None:
    def fault(f: str, effect: str | None) -> FaultCount:
        return FaultCount(1, f, (), 5, 9, {}, effect=effect)

    kill, idle, cut = fault("kill", "killed n1"), fault("kill", ""), fault("partition", "")
    assert lines_without_effect([kill, fault("clock", None)]) == []
    assert lines_without_effect([kill, idle]) == ["faults without an effect: kill 1 of 2"]
    assert lines_without_effect([kill, idle, cut, cut]) == [
        "faults without an effect: kill 1 of 2, partition 2 of 2",
        "the run does not test these kinds of faults: partition",
    ]
