"""The checker `set_full` finds lost, stale, never read, duplicated and unexpected elements."""

from __future__ import annotations

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.objects.set_full import check_set_full
from splitbrain.checkers.verdict import Verdict
from splitbrain.histories.kv import (
    Delete,
    DeleteResult,
    KeyValue,
    Put,
    PutResult,
    Range,
    RangeResult,
)
from tests.unit.checkers.scripted_history import ScriptedHistory

ALL = Range("set/", "set0")


def add(element: int) -> Put:
    return Put(f"set/{element}", f"{element}")


def shows(*elements: int, more: bool = False) -> RangeResult:
    kvs = tuple(KeyValue(f"set/{e}", f"{e}", 2, 2, 1) for e in elements)
    return RangeResult(kvs=kvs, count=len(kvs), more=more)


def judge(script: ScriptedHistory) -> Verdict:
    return check_set_full(Evidence(script.history()))


def kinds(verdict: Verdict) -> list[str]:
    return [anomaly.kind for anomaly in verdict.anomalies]


def two_added() -> ScriptedHistory:
    script = ScriptedHistory()
    for element in (1, 2):
        script.did(add(element), PutResult(), element + 1, f="add")
    return script


def test_what_was_added_is_there() -> None:
    script = two_added()
    script.did(ALL, shows(1, 2), 3)
    verdict = judge(script)
    assert verdict.valid is True
    assert verdict.counts["acknowledged"] == 2


def test_what_is_missing_to_the_end_is_lost() -> None:
    script = two_added()
    script.did(ALL, shows(1, 2), 3)
    script.did(ALL, shows(2), 3)
    script.did(ALL, shows(2), 3)
    verdict = judge(script)
    assert kinds(verdict) == ["lost"]
    assert "set/1, known since 0.001 s (acknowledged by n1)" in verdict.anomalies[0].because


def test_what_is_missing_for_a_while_is_stale() -> None:
    script = two_added()
    script.did(ALL, shows(2), 3)
    script.did(ALL, shows(1, 2), 3)
    assert kinds(judge(script)) == ["stale"]


def test_what_a_read_showed_is_known() -> None:
    script = ScriptedHistory()
    script.info(script.invoke(add(1), f="add"))
    script.did(ALL, shows(), 1)
    assert judge(script).valid is True
    script.did(ALL, shows(1), 2)
    script.did(ALL, shows(), 2)
    verdict = judge(script)
    assert kinds(verdict) == ["lost"]
    assert verdict.counts["recovered"] == 1


def test_a_read_that_began_before_demands_nothing() -> None:
    script = ScriptedHistory()
    early = script.invoke(ALL)
    script.did(add(1), PutResult(), 2, f="add")
    script.ok(early, shows(), 1)
    script.did(ALL, shows(1), 2)
    assert judge(script).valid is True


def test_serializable_reads_demand_nothing() -> None:
    script = two_added()
    script.did(Range("set/", "set0", serializable=True), shows(), 1)
    script.did(ALL, shows(1, 2), 3)
    assert judge(script).valid is True


def test_a_limited_read_tells_of_keys_up_to_its_last() -> None:
    script = two_added()
    script.did(Range("set/", "set0", limit=1), shows(1, more=True), 3)
    assert judge(script).valid is None
    script.did(ALL, shows(1, 2), 3)
    assert judge(script).valid is True
    script.did(Range("set/", "set0", limit=1), shows(2, more=True), 3)
    assert kinds(judge(script)) == ["lost"]


def test_what_is_never_read_leaves_it_undecided() -> None:
    verdict = judge(two_added())
    assert verdict.valid is None
    assert "no later read covers 2 acknowledged elements" in verdict.why


def test_an_element_that_the_last_read_made_known_has_been_read() -> None:
    """Its add never returned: only that read knows of it, and no later one there is."""
    script = ScriptedHistory()
    script.info(script.invoke(add(1), f="add"))
    script.did(ALL, shows(1), 2)
    assert judge(script).valid is True
    script.did(add(2), PutResult(), 3, f="add")
    assert judge(script).valid is None


def test_an_element_twice_in_an_answer_is_duplicated() -> None:
    script = two_added()
    script.did(ALL, shows(1, 1, 2), 3)
    assert kinds(judge(script)) == ["duplicated"]


def test_an_element_that_was_not_added_is_unexpected() -> None:
    script = two_added()
    script.fail(script.invoke(add(7), f="add"))
    script.did(ALL, shows(1, 2, 7, 9), 3)
    verdict = judge(script)
    assert kinds(verdict) == ["unexpected", "unexpected"]
    assert "had failed" in verdict.anomalies[0].because
    assert "no operation added" in verdict.anomalies[1].because


def test_other_workloads_are_not_judged() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    assert "not applicable" in judge(script).why
    script = two_added()
    script.did(Delete("set/1"), DeleteResult(deleted=1), 4)
    assert "not applicable" in judge(script).why
