"""The rules about the streams of an election's leaders, each broken once and kept once."""

from __future__ import annotations

import pytest

from splitbrain.checkers.coordination.election import check_election
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.verdict import Verdict
from splitbrain.histories.fault_window import FaultWindow
from splitbrain.histories.history import History
from splitbrain.histories.kv import Header, KeyValue, Range, RangeResult
from splitbrain.histories.lock_and_election import (
    Leader,
    LeaderResult,
    Observe,
    ObserveResult,
)
from splitbrain.histories.member_state import Change, MemberState
from tests.unit.checkers.service_history import Told, told

LOG = MemberState("n1", revision=8, changes=(
    Change(2, "put", "e/1", "a", 2, 1, 1), Change(3, "put", "e/2", "b", 3, 1, 2),
    Change(4, "put", "e/1", "c", 2, 2, 1), Change(5, "put", "other", "", 5, 1, 0),
    Change(6, "delete", "e/1", "", 0, 0, 0), Change(7, "put", "e/2", "d", 3, 2, 2),
    Change(8, "put", "other", "", 5, 2, 0),
))
A, C = KeyValue("e/1", "a", 2, 2, 1, 1), KeyValue("e/1", "c", 2, 4, 2, 1)
B, D = KeyValue("e/2", "b", 3, 3, 1, 2), KeyValue("e/2", "d", 3, 7, 2, 2)
Sent = tuple[int, KeyValue | None]
WHOLE: tuple[Sent, ...] = ((3, A), (4, C), (6, B), (7, D))


def observed(*sent: Sent, call: float = 1, ret: float = 2, broken: str = "") -> Told:
    answers = tuple(LeaderResult(Header(revision), kv) for revision, kv in sent)
    header = answers[-1].header if answers else Header()
    return (call, ret, Observe("e", 1_000), ObserveResult(header, answers, broken))


def judge(*asked: Told, faults: tuple[FaultWindow, ...] = ()) -> Verdict:
    history = told(*asked)
    return check_election(Evidence(
        History(history.events, history.operations, faults, history.services), (LOG,)
    ))


def kinds(*asked: Told) -> list[str]:
    return [one.kind for one in judge(*asked).anomalies]


@pytest.mark.parametrize("sent", [
    WHOLE, ((2, A),), ((2, A), (5, C)), ((4, C), (6, B)), ((4, C), (7, D)), ((8, D),),
    ((2, A), (5, C), (8, D)),
])
def test_a_stream_may_begin_and_end_anywhere_and_skip_a_value_before_it_reads_the_next_leader(
    sent: tuple[Sent, ...],
) -> None:
    assert judge(observed(*sent)).valid is True


@pytest.mark.parametrize(("kind", "sent"), [
    ("wrong leader", ((2, None),)),
    ("wrong leader", ((3, B),)),
    ("wrong leader", ((4, A),)),
    ("wrong leader", ((7, C),)),
    ("wrong leader", ((4, KeyValue("e/1", "x", 2, 4, 2, 1)),)),
    ("wrong leader", ((4, KeyValue("e/1", "c", 4, 4, 2, 1)),)),
    ("wrong leader", ((2, A), (3, B))),
    ("wrong sequence", ((2, A), (6, B))),
    ("wrong sequence", ((2, A), (3, A))),
    ("wrong sequence", ((6, B), (7, D), (7, D))),
])
def test_a_wrong_answer_is_named(kind: str, sent: tuple[Sent, ...]) -> None:
    assert kinds(observed(*sent)) == [kind]


def test_a_stream_begins_with_what_was_known_before() -> None:
    before: Told = (0.5, 0.6, Range("e/2"), RangeResult(Header(7), (D,), 1))
    assert kinds(before, observed((6, B), (7, D))) == ["stale leader"]
    assert kinds(before, observed((7, D))) == []
    asked: Told = (0.5, 0.6, Leader("e"), LeaderResult(Header(7), D))
    assert kinds(asked, observed((6, B), (7, D))) == ["stale leader"]


def test_a_new_leader_is_shown_in_time() -> None:
    seen: Told = (2, 2.1, Range("e/2"), RangeResult(Header(7), (D,), 1))
    silent = observed((4, C), ret=5)
    assert kinds(seen, silent) == ["missing leader"]
    assert kinds(seen, observed(ret=5)) == []
    assert kinds(seen, observed((4, C), ret=4)) == []
    assert kinds(seen, observed((4, C), ret=5, broken="disconnected")) == []
    assert kinds(seen, observed((4, C), (7, D), ret=5)) == []
    early: Told = (1.5, 1.6, Range("e/2"), RangeResult(Header(7), (D,), 1))
    assert kinds(early, silent) == [], "no linearizable read shows that the member serves"
    slow: Told = (2.5, 3.9, Range("e/2"), RangeResult(Header(7), (D,), 1))
    assert kinds(seen, slow, silent) == [], "the stream may wait for a read, too"
    killed = FaultWindow(fault=1, f="kill", begin=3 * 10**9, end=4 * 10**9, members=("n1",))
    assert judge(seen, silent, faults=(killed,)).valid is True
