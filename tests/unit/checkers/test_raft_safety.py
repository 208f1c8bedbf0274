"""The checker `raft_safety` judges traces that keep election safety or violate it."""

from __future__ import annotations

import pytest

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.traces.raft_safety import check_raft_safety
from splitbrain.checkers.verdict import Verdict
from splitbrain.histories.history import History
from splitbrain.histories.trace import TraceEvent


def judge(*events: TraceEvent) -> Verdict:
    traces = {name: [e for e in events if e.member == name] for name in ("n1", "n2", "n3")}
    return check_raft_safety(Evidence(History.of(()), traces=traces))


def vote(member: str, ns: int, term: int, peer: str) -> TraceEvent:
    return TraceEvent(member, "vote", ns, term=term, peer=peer)


def start(member: str, ns: int, term: int, peer: str) -> TraceEvent:
    return TraceEvent(member, "start", ns, term=term, peer=peer)


def lead(member: str, ns: int, term: int) -> TraceEvent:
    return TraceEvent(member, "lead", ns, term=term)


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        ((vote("n1", 1, 2, "n2"), vote("n1", 2, 3, "n3"), start("n1", 3, 3, "n3")), ""),
        ((vote("n1", 1, 2, "n2"), start("n1", 3, 4, "")), ""),
        ((lead("n1", 1, 2), lead("n1", 2, 2), lead("n2", 3, 3)), ""),
        ((vote("n1", 1, 2, "n2"), vote("n1", 2, 2, "n3")), "voted twice"),
        ((vote("n1", 1, 3, "n2"), vote("n1", 2, 2, "n3")), "term went back"),
        ((vote("n1", 1, 2, "n2"), start("n1", 3, 2, "")), "vote forgotten"),
        ((vote("n1", 1, 2, "n2"), start("n1", 3, 1, "n2")), "vote forgotten"),
        ((lead("n1", 1, 2), lead("n2", 2, 2)), "two leaders in one term"),
    ],
)
def test_each_violation_is_reported(events: tuple[TraceEvent, ...], kind: str) -> None:
    verdict = judge(*events)
    assert [anomaly.kind for anomaly in verdict.anomalies] == [kind] * bool(kind)
    assert verdict.valid is not bool(kind)


def test_a_system_without_traces_has_nothing_to_judge() -> None:
    assert check_raft_safety(Evidence(History.of(()), system="etcd")).valid is True
    assert check_raft_safety(Evidence(History.of(()), system="python_node")).valid is None
