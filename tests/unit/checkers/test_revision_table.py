"""The table of revisions joins answers, change log and gaps; change logs tolerate any numbers."""

from __future__ import annotations

import pytest

from splitbrain.checkers.findings import Findings
from splitbrain.checkers.mvcc.change_log import ChangeLog, change_log
from splitbrain.checkers.mvcc.revision_order import order_answers
from splitbrain.checkers.mvcc.revision_table import RevisionTable
from splitbrain.histories.history import Operation
from splitbrain.histories.kv import Header, Put, PutResult, Range, RangeResult, Request, Result
from splitbrain.histories.member_state import Change, MemberState


def operation(number: int, request: Request, result: Result) -> Operation:
    return Operation(
        process=number, f="f", node="n1", outcome="ok", request=request, result=result, error=None,
        invoked=2 * number, returned=2 * number + 1, call=2 * number, ret=2 * number + 1,
    )


def put(number: int, revision: int) -> Operation:
    return operation(number, Put("k"), PutResult(Header(revision)))


def read(number: int, revision: int, at: int = 0) -> Operation:
    return operation(number, Range("k", revision=at), RangeResult(Header(revision)))


def log_of(*revisions: int, last: int | None = None, first: int = 1) -> tuple[ChangeLog, Findings]:
    findings = Findings()
    changes = tuple(Change(revision, "put", "k") for revision in revisions)
    member = MemberState(
        "n1", last if last is not None else max(revisions), changes=changes, first_revision=first,
        leader_id=1,
    )
    return change_log([member], findings), findings


def test_a_row_contains_the_writer_the_changes_and_the_readers_of_a_revision() -> None:
    log, _ = log_of(2, 3, 3, 5)
    operations = [put(1, 3), read(2, 3), read(3, 7, at=2), put(4, 7), read(5, 3), put(6, 3)]
    first, seen, _, written, again, _ = operations
    past = operations[2]
    findings = Findings()
    answers = order_answers(operations, findings)
    table = RevisionTable(answers, log, gaps=[6])
    two, three, _, five = log.changes
    assert list(table.rows(0, len(table))) == [
        (2, None, (two,), [past]),
        (3, first, (three, three), [seen, again]),
        (5, None, (five,), ()),
        (6, None, None, ()),
        (7, written, None, ()),
    ]
    assert list(table.rows(2, 4)) == list(table.rows(0, len(table)))[2:4]
    assert answers.rivals == {3: [operations[5]]}
    assert [anomaly.kind for anomaly in findings.anomalies] == ["duplicate revision"]


def test_a_history_without_answers_has_an_empty_table() -> None:
    log, _ = log_of(last=1)
    table = RevisionTable(order_answers([], Findings()), log, gaps=[])
    assert len(table) == 0
    assert list(table.rows(0, 0)) == []


@pytest.mark.parametrize(("revisions", "last", "missing"), [
    ((2, 3, 4), 4, []),
    ((4, 2, 3), 4, []),
    ((2, 5), 5, [3]),
    ((3, 5), 6, [2, 4, 6]),
    ((), 1, []),
    ((), 3, [2]),
    ((2, 1 << 70), 2, [3]),
    ((-(1 << 70), 2), 2, []),
    ((0, 1, 2), 2, []),
])
def test_missing_revisions_of_a_change_log_are_reported(
    revisions: tuple[int, ...], last: int, missing: list[int]
) -> None:
    log, findings = log_of(*revisions, last=last)
    assert [anomaly.detail["revision"] for anomaly in findings.anomalies] == missing
    assert {anomaly.kind for anomaly in findings.anomalies} <= {"missing revision"}
    assert [change.revision for change in log.changes] == sorted(revisions)
