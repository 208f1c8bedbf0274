"""The checker `headers` judges the ids and the terms in the headers of answers."""

from __future__ import annotations

from typing import Any

import msgspec

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.headers import check_headers
from splitbrain.checkers.verdict import Verdict
from splitbrain.histories.event import NEMESIS, Event
from splitbrain.histories.history import History
from splitbrain.histories.kv import Header, Put, PutResult, Range, RangeResult

CLUSTER = 0xC


class Answers:
    """A history in which each operation ends before the next one begins, 1 ms apart."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def put(self, node: str, **header: int) -> None:
        self._did(Put("a", "1"), PutResult, node, header)

    def get(self, node: str, *, serializable: bool = False, **header: int) -> None:
        self._did(Range("a", serializable=serializable), RangeResult, node, header)

    def fault(self, node: str, phase: str) -> None:
        value = msgspec.json.encode({"fault": 0, "phase": phase, "members": [node]})
        self._record(NEMESIS, "info", "kill", value, None)

    def _did(self, request: Any, result: Any, node: str, header: dict[str, int]) -> None:
        process = len(self.events)
        known = Header(cluster_id=CLUSTER, member_id=int(node[1:]), raft_term=2)
        answer = result(msgspec.structs.replace(known, **header))
        self._record(process, "invoke", "any", msgspec.json.encode(request), node)
        self._record(process, "ok", "any", msgspec.json.encode(answer), node)

    def _record(self, process: Any, kind: Any, f: str, value: bytes, node: str | None) -> None:
        at = len(self.events)
        self.events.append(Event(at, at * 1_000_000, process, kind, f, msgspec.Raw(value), node))

    def verdict(self) -> Verdict:
        return check_headers(Evidence(History.of(self.events)))


def kinds(verdict: Verdict) -> list[str]:
    return [one.kind for one in verdict.anomalies]


def test_answers_of_two_members_in_rising_terms_are_valid() -> None:
    answers = Answers()
    answers.put("n1")
    answers.put("n2")
    answers.get("n1", raft_term=3)
    answers.get("n2")
    verdict = answers.verdict()
    assert verdict.valid is True
    assert verdict.counts["member ids"] == 2


def test_an_answer_with_the_id_of_another_member_is_found() -> None:
    answers = Answers()
    answers.put("n1")
    answers.put("n2", member_id=1)
    verdict = answers.verdict()
    assert kinds(verdict) == ["answer of another member"]
    assert verdict.anomalies[0].because == (
        "n2 answered process 2's any at 0.003 s with the member id 1, but n1 answered process 0's "
        "any at 0.001 s with the same id"
    )


def test_a_member_that_was_added_again_has_another_id() -> None:
    answers = Answers()
    answers.put("n1")
    answers.put("n1", member_id=7)
    assert answers.verdict().valid is True


def test_an_answer_of_another_cluster_is_found() -> None:
    answers = Answers()
    answers.put("n1")
    answers.put("n2", cluster_id=0xD)
    assert kinds(answers.verdict()) == ["two clusters"]


def test_a_term_that_decreases_is_found() -> None:
    answers = Answers()
    answers.put("n1", raft_term=5)
    answers.put("n2", raft_term=3)
    answers.get("n1", raft_term=4)
    verdict = answers.verdict()
    assert kinds(verdict) == ["term decreased"]
    assert "n1 answered process 4's any at 0.005 s in term 4" in verdict.anomalies[0].because
    assert "at 0.001 s in term 5" in verdict.anomalies[0].because


def test_a_serializable_read_may_show_an_earlier_term() -> None:
    answers = Answers()
    answers.put("n1", raft_term=5)
    answers.get("n1", raft_term=4, serializable=True)
    assert answers.verdict().valid is True


def test_a_member_may_lose_a_term_in_a_fault() -> None:
    answers = Answers()
    answers.put("n1", raft_term=5)
    for phase in ("begin", "began", "end", "ended"):
        answers.fault("n1", phase)
    answers.put("n1", raft_term=4)
    assert answers.verdict().valid is True


def test_answers_without_ids_are_not_judged() -> None:
    answers = Answers()
    answers.put("n1", cluster_id=0, member_id=0)
    assert not answers.verdict().applies
