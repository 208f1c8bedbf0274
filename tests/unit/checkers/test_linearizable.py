"""The checker `linearizable` judges registers, and shows the fewest operations that prove it."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.linearizable.checker import check_linearizable, register_operations
from splitbrain.checkers.linearizable.store_register import REGISTERS, read_only
from splitbrain.checkers.mvcc.checker import check_mvcc
from splitbrain.checkers.porcupine import Operation as RegisterOperation
from splitbrain.checkers.verdict import Verdict
from splitbrain.harness.synthetic.generator import generate
from splitbrain.histories.history import History, Operation
from splitbrain.histories.kv import (
    Compare,
    Delete,
    DeleteResult,
    KeyValue,
    Put,
    PutResult,
    Range,
    RangeResult,
    Txn,
    TxnResult,
)
from splitbrain.histories.member_state import Change
from tests.unit.checkers.exhaustive import linearizable
from tests.unit.checkers.scripted_history import ScriptedHistory
from tests.unit.checkers.small_histories import history_of, maybe_corrupted, members_of


def read(key: str, value: str | None, revision: int = 2) -> RangeResult:
    kvs = () if value is None else (KeyValue(key, value, 2, revision, 1),)
    return RangeResult(kvs=kvs, count=len(kvs))


def judge(script: ScriptedHistory) -> Verdict:
    return check_linearizable(Evidence(script.history(), search_limit_s=20))


def swap(target: Any, result: Any, operand: Any, value: str) -> Txn:
    return Txn((Compare("a", target, result, operand),), (Put("a", value),), (Range("a"),))


def test_writes_and_reads_in_order_are_valid() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    script.did(Range("a"), read("a", "1"), 2)
    script.did(Delete("a"), DeleteResult(deleted=1), 3)
    script.did(Range("a"), read("a", None), 3)
    verdict = judge(script)
    assert verdict.valid is True
    assert verdict.counts == {"operations": 4, "keys": 1}


def test_a_stale_read_is_proved_by_the_fewest_operations() -> None:
    script = ScriptedHistory()
    for n in range(20):
        script.did(Put("a", f"{n}"), PutResult(), n + 2)
        script.did(Range("a"), read("a", f"{n}"), n + 2)
        script.did(Put("b", f"{n}"), PutResult(), 90)
    script.did(Range("a"), read("a", "7"), 40)
    script.did(Range("a"), read("a", "19"), 40)
    verdict = judge(script)
    assert verdict.valid is False
    (anomaly,) = verdict.anomalies
    assert anomaly.detail["key"] == "a"
    # Two reads that disagree with the last one, and the writes of their values; not all before.
    assert 6 <= len(anomaly.events) <= 10
    assert anomaly.detail["stuck"] == 120
    assert 122 not in anomaly.events


def test_an_uncertain_write_may_have_happened() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    script.info(script.invoke(Put("a", "2")))
    script.did(Range("a"), read("a", "1"), 2)
    script.did(Range("a"), read("a", "2"), 3)
    assert judge(script).valid is True
    script.did(Range("a"), read("a", "1"), 2)
    assert judge(script).valid is False


def test_a_key_with_a_lease_may_be_deleted_at_any_later_time() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1", lease=7), PutResult(), 2)
    script.did(Range("a"), read("a", "1"), 2)
    script.did(Range("a"), read("a", None), 3)
    assert judge(script).valid is True
    script.did(Range("a"), read("a", "1"), 4)
    assert judge(script).valid is False


def test_a_failed_write_did_not_happen() -> None:
    script = ScriptedHistory()
    script.fail(script.invoke(Put("a", "2")))
    script.did(Range("a"), read("a", "2"), 2)
    assert judge(script).valid is False


def test_the_previous_value_in_the_answer_to_a_put_counts() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    script.did(Put("a", "2", prev_kv=True), PutResult(prev_kv=KeyValue("a", "1", 2, 2, 1)), 3)
    assert judge(script).valid is True
    script.did(Put("a", "3", prev_kv=True), PutResult(prev_kv=KeyValue("a", "1", 2, 2, 1)), 4)
    assert judge(script).valid is False


@pytest.mark.parametrize(
    ("compare", "succeeds"),
    [
        (("value", "=", "1"), True),
        (("value", "=", "9"), False),
        (("mod", "=", 2), True),
        (("mod", "!=", 2), False),
        (("version", "=", 0), False),
        (("create", ">", 0), True),
    ],
)
def test_a_compare_and_swap_must_answer_what_it_found(
    compare: tuple[str, str, str | int], succeeds: bool
) -> None:
    for answered in (True, False):
        script = ScriptedHistory()
        script.did(Put("a", "1"), PutResult(), 2)
        responses: tuple[Any, ...] = (PutResult(),) if answered else (read("a", "1"),)
        script.did(swap(*compare, "2"), TxnResult(succeeded=answered, responses=responses), 3)
        assert judge(script).valid is (answered is succeeds)


def test_a_range_is_a_read_of_each_key() -> None:
    script = ScriptedHistory()
    script.did(Put("a", "1"), PutResult(), 2)
    script.did(Put("b", "1"), PutResult(), 3)
    script.did(Range("a", "c"), read("a", "1"), 3)
    verdict = judge(script)
    assert [anomaly.detail["key"] for anomaly in verdict.anomalies] == ["b"]


def test_transactions_of_another_form_are_not_judged() -> None:
    script = ScriptedHistory()
    script.did(Txn((), (Put("a"), Put("b")), ()), TxnResult(succeeded=True), 2)
    verdict = judge(script)
    assert verdict.valid is True
    assert "not applicable" in verdict.why
    assert verdict.counts == {}


def test_a_comparison_that_nothing_explains_leaves_the_verdict_undecided() -> None:
    script = ScriptedHistory()
    answer = TxnResult(succeeded=False, responses=(read("a", None),))
    script.did(swap("mod", "=", 77, "2"), answer, 2)
    verdict = judge(script)
    assert verdict.valid is None
    assert "revision 77" in verdict.why


@pytest.mark.parametrize("workload", ["register", "set"])
def test_generated_histories_are_linearizable(workload: str) -> None:
    history = History.of(generate(workload, 3000, uncertain=0.05, seed=11).events)
    assert check_linearizable(Evidence(history)).valid is True


@settings(max_examples=200, deadline=None)
@given(maybe_corrupted())
def test_what_linearizable_finds_mvcc_finds_too(
    made: tuple[list[Operation], list[Change]],
) -> None:
    ops, changes = made
    evidence = Evidence(history_of(ops), members_of(changes))
    if check_linearizable(evidence).valid is False:
        assert check_mvcc(evidence).valid is False


@settings(max_examples=300, deadline=None)
@given(maybe_corrupted())
def test_without_the_blamed_operation_the_shown_part_is_linearizable(
    made: tuple[list[Operation], list[Change]],
) -> None:
    history = history_of(made[0])
    verdict = check_linearizable(Evidence(history))
    for anomaly in verdict.anomalies:
        detail = anomaly.detail
        ops = [op for op in register_operations(history) if op.input.key == detail["key"]]
        shown = [op for op in ops if int(op.call) in detail["operations"]]
        others = [
            RegisterOperation(op.client, op.input, op.call, None)
            for op in ops if op not in shown and not read_only(op.input, op.output)
        ]
        assert not linearizable(REGISTERS, shown + others)
        rest = [op for op in shown if int(op.call) != detail["stuck"]]
        if not linearizable(REGISTERS, rest):
            # Each operation saw the effect of another, so that only an answer can be wrong.
            assert any(not read_only(op.input, op.output) for op in rest)
            rest += [
                RegisterOperation(op.client, op.input, op.call, None)
                for op in shown if int(op.call) == detail["stuck"]
            ]
            assert linearizable(REGISTERS, rest)


@pytest.mark.parametrize("seed", range(6))
def test_both_checkers_pass_a_valid_history_and_find_a_stale_read(seed: int) -> None:
    made = generate("register", 600, 12, uncertain=0.1, seed=seed)
    history = History.of(made.events)
    evidence = Evidence(history, made.members)
    assert check_linearizable(evidence).valid is True
    assert check_mvcc(evidence).valid is True
    ops = list(history.operations)
    reads = [
        n for n, op in enumerate(ops)
        if isinstance(op.request, Range) and not op.request.range_end
        and isinstance(op.result, RangeResult) and op.result.kvs
    ]
    # The last read of a key shows what an early one of it showed.
    late = reads[-1]
    early = next(n for n in reads if ops[n].request == ops[late].request)
    assert ops[early].result != ops[late].result
    ops[late] = msgspec.structs.replace(ops[late], result=ops[early].result)
    corrupted = Evidence(History((), tuple(ops), ()), made.members)
    assert check_linearizable(corrupted).valid is False
    assert check_mvcc(corrupted).valid is False


def test_many_uncertain_writes_of_many_clients_are_decided() -> None:
    made = generate("register", 4_000, 100, uncertain=0.4, seed=1)
    evidence = Evidence(History.of(made.events), search_limit_s=1.0)
    assert check_linearizable(evidence).valid is True


def deleting_clients(seed: int, operations: int = 800, clients: int = 30) -> ScriptedHistory:
    """One key that many clients put, get and delete; some have no answer."""
    chance = Random(seed)
    script = ScriptedHistory()
    value: str | None = None
    waiting: dict[int, tuple[int, Any]] = {}
    for number in range(operations):
        client = chance.randrange(clients)
        if client not in waiting:
            asked = chance.choice((Range("a"), Range("a"), Put("a", f"{number}"), Delete("a")))
            waiting[client] = (script.invoke(asked), asked)
            continue
        process, asked = waiting.pop(client)
        uncertain = chance.random() < 0.05
        answer: Any = read("a", value)
        if isinstance(asked, Put):
            answer = PutResult()
        elif isinstance(asked, Delete):
            answer = DeleteResult(deleted=int(value is not None))
        if not isinstance(asked, Range) and (not uncertain or chance.random() < 0.5):
            value = asked.value if isinstance(asked, Put) else None
        if uncertain:
            script.info(process)
        else:
            script.ok(process, answer, number + 2)
    return script


@pytest.mark.parametrize("seed", range(6))
def test_keys_that_are_deleted_again_and_again_are_decided(seed: int) -> None:
    script = deleting_clients(seed)
    evidence = Evidence(script.history(), search_limit_s=5.0)
    assert check_linearizable(evidence).valid is True
    first = next(
        op for op in script.history().operations
        if isinstance(op.request, Put) and op.outcome == "ok"
    )
    script.did(Put("a", "last"), PutResult(), 9_000)
    assert isinstance(first.request, Put)
    script.did(Range("a"), read("a", first.request.value), 9_000)
    corrupted = Evidence(script.history(), search_limit_s=5.0)
    assert check_linearizable(corrupted).valid is False


def test_a_single_operation_that_proves_the_anomaly_is_described_as_one() -> None:
    script = ScriptedHistory()
    script.did(Range("a"), read("a", "nobody wrote it"), 2)
    (anomaly,) = judge(script).anomalies
    assert "no order explains this operation (get a -> 'nobody wrote it')" in anomaly.because


def test_a_read_only_transaction_is_judged_as_reads_unless_all_are_serializable() -> None:
    for serializable, valid in ((False, False), (True, True)):
        script = ScriptedHistory()
        script.did(Put("a", "1"), PutResult(), 2)
        script.did(Put("b", "1"), PutResult(), 3)
        txn = Txn((), (
            Range("a", serializable=True), Range("b", serializable=serializable),
            Range("a", revision=1, serializable=True),
        ))
        past = read("a", None)
        good = TxnResult(succeeded=True, responses=(read("a", "1"), read("b", "1"), past))
        script.did(Range("a"), read("a", "1"), 3)
        script.did(txn, good, 3)
        assert judge(script).valid is True
        stale = TxnResult(succeeded=True, responses=(read("a", None), read("b", "1"), past))
        script.did(txn, stale, 3)
        assert judge(script).valid is valid
