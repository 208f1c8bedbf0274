"""The checker `unique_ids` judges revisions of a store, and ids in other tools' histories."""

from __future__ import annotations

import pytest

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.foreign.models import check_log, model_of
from splitbrain.checkers.objects.unique_ids import check_unique_ids
from splitbrain.checkers.verdict import Verdict
from splitbrain.harness.synthetic.generator import generate
from splitbrain.histories.formats.foreign_operation import ForeignOperation
from splitbrain.histories.history import History
from splitbrain.histories.kv import Delete, DeleteResult, Put, PutResult, Range, RangeResult
from tests.unit.checkers.scripted_history import ScriptedHistory


def judge(script: ScriptedHistory) -> Verdict:
    return check_unique_ids(Evidence(script.history()))


def kinds(verdict: Verdict) -> list[str]:
    return [anomaly.kind for anomaly in verdict.anomalies]


def test_each_write_has_a_different_revision() -> None:
    script = ScriptedHistory()
    script.did(Put("a"), PutResult(), 2)
    script.did(Range("a"), RangeResult(), 2)
    script.did(Delete("b"), DeleteResult(deleted=0), 2)
    script.did(Delete("a"), DeleteResult(deleted=1), 3)
    verdict = judge(script)
    assert verdict.valid is True
    assert verdict.counts == {"ids": 2, "attempts": 2, "anomalies": 0}


def test_a_revision_that_two_writes_were_given_is_duplicated() -> None:
    script = ScriptedHistory()
    one, other = script.invoke(Put("a")), script.invoke(Put("b"))
    script.ok(one, PutResult(), 2)
    script.ok(other, PutResult(), 2)
    verdict = judge(script)
    assert kinds(verdict) == ["duplicated"]
    assert verdict.anomalies[0].events == (0, 1, 2, 3)
    assert "revision 2 was given to process 0's put a" in verdict.anomalies[0].because


def test_a_lower_revision_than_one_answered_before_is_stale() -> None:
    script = ScriptedHistory()
    script.did(Put("a"), PutResult(), 7)
    slow = script.invoke(Put("b"))
    script.did(Put("c"), PutResult(), 9)
    script.ok(slow, PutResult(), 8)
    assert judge(script).valid is True
    script.did(Put("d"), PutResult(), 5)
    assert kinds(judge(script)) == ["stale"]


def test_if_there_are_generate_operations_only_they_count() -> None:
    script = ScriptedHistory()
    script.did(Put("a"), PutResult(), 2, f="generate")
    script.did(Put("b"), PutResult(), 2)
    assert judge(script).valid is True
    script.did(Put("a"), PutResult(), 2, f="generate")
    assert kinds(judge(script)) == ["duplicated"]


def test_nothing_written_is_not_judged_and_nothing_given_is_undecided() -> None:
    assert check_unique_ids(Evidence(History((), (), ()))).why.startswith("not applicable")
    script = ScriptedHistory()
    script.info(script.invoke(Put("a"), f="generate"))
    assert judge(script).valid is None


@pytest.mark.parametrize("workload", ["kv", "register"])
def test_generated_histories_are_valid(workload: str) -> None:
    made = generate(workload, 400, 8, seed=3)
    verdict = check_unique_ids(Evidence(History.of(made.events)))
    assert verdict.valid is True
    assert verdict.counts["ids"] > 50


def test_a_log_of_ids_is_judged() -> None:
    log = [
        ForeignOperation(n, "generate", "", None, "ok", answer, 2 * n, 2 * n + 1, 2 * n + 1)
        for n, answer in enumerate((10, 11, "10"))
    ]
    assert model_of(log) == "unique-ids"
    assert check_log(log[:2]).valid is True
    again = ForeignOperation(9, "generate", "", None, "ok", 11, 20, 21, 21)
    assert kinds(check_log([*log[:2], again])) == ["duplicated"]
