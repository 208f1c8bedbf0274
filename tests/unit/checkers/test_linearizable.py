"""Registers by their values alone, and the smallest part that proves an anomaly."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.linearizable.checker import check_linearizable
from splitbrain.checkers.mvcc.checker import check_mvcc
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
from tests.unit.checkers.small_histories import history_of, maybe_spoilt, members_of
from tests.unit.checkers.told import Told


def read(key: str, value: str | None, revision: int = 2) -> RangeResult:
    kvs = () if value is None else (KeyValue(key, value, 2, revision, 1),)
    return RangeResult(kvs=kvs, count=len(kvs))


def judge(told: Told) -> Verdict:
    return check_linearizable(Evidence(told.history(), search_limit_s=20))


def swap(target: Any, result: Any, operand: Any, value: str) -> Txn:
    return Txn((Compare("a", target, result, operand),), (Put("a", value),), (Range("a"),))


def test_writes_and_reads_in_order_are_valid() -> None:
    told = Told()
    told.did(Put("a", "1"), PutResult(), 2)
    told.did(Range("a"), read("a", "1"), 2)
    told.did(Delete("a"), DeleteResult(deleted=1), 3)
    told.did(Range("a"), read("a", None), 3)
    verdict = judge(told)
    assert verdict.valid is True
    assert verdict.counts == {"operations": 4, "keys": 1}


def test_a_stale_read_is_proved_by_the_least_that_shows_it() -> None:
    told = Told()
    for n in range(20):
        told.did(Put("a", f"{n}"), PutResult(), n + 2)
        told.did(Range("a"), read("a", f"{n}"), n + 2)
        told.did(Put("b", f"{n}"), PutResult(), 90)
    told.did(Range("a"), read("a", "7"), 40)
    told.did(Range("a"), read("a", "19"), 40)
    verdict = judge(told)
    assert verdict.valid is False
    (anomaly,) = verdict.anomalies
    assert anomaly.detail["key"] == "a"
    # Whichever two reads disagree with a write between them; never the twenty before.
    assert 4 <= len(anomaly.events) <= 8
    assert 120 in anomaly.events
    assert 122 not in anomaly.events


def test_an_uncertain_write_may_have_happened() -> None:
    told = Told()
    told.did(Put("a", "1"), PutResult(), 2)
    told.info(told.ask(Put("a", "2")))
    told.did(Range("a"), read("a", "1"), 2)
    told.did(Range("a"), read("a", "2"), 3)
    assert judge(told).valid is True
    told.did(Range("a"), read("a", "1"), 2)
    assert judge(told).valid is False


def test_a_key_with_a_lease_may_be_gone_at_any_time_after() -> None:
    told = Told()
    told.did(Put("a", "1", lease=7), PutResult(), 2)
    told.did(Range("a"), read("a", "1"), 2)
    told.did(Range("a"), read("a", None), 3)
    assert judge(told).valid is True
    told.did(Range("a"), read("a", "1"), 4)
    assert judge(told).valid is False


def test_a_failed_write_did_not_happen() -> None:
    told = Told()
    told.fail(told.ask(Put("a", "2")))
    told.did(Range("a"), read("a", "2"), 2)
    assert judge(told).valid is False


def test_what_a_put_says_of_the_value_before_counts() -> None:
    told = Told()
    told.did(Put("a", "1"), PutResult(), 2)
    told.did(Put("a", "2", prev_kv=True), PutResult(prev_kv=KeyValue("a", "1", 2, 2, 1)), 3)
    assert judge(told).valid is True
    told.did(Put("a", "3", prev_kv=True), PutResult(prev_kv=KeyValue("a", "1", 2, 2, 1)), 4)
    assert judge(told).valid is False


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
        told = Told()
        told.did(Put("a", "1"), PutResult(), 2)
        responses: tuple[Any, ...] = (PutResult(),) if answered else (read("a", "1"),)
        told.did(swap(*compare, "2"), TxnResult(succeeded=answered, responses=responses), 3)
        assert judge(told).valid is (answered is succeeds)


def test_a_range_is_a_read_of_each_key() -> None:
    told = Told()
    told.did(Put("a", "1"), PutResult(), 2)
    told.did(Put("b", "1"), PutResult(), 3)
    told.did(Range("a", "c"), read("a", "1"), 3)
    verdict = judge(told)
    assert [anomaly.detail["key"] for anomaly in verdict.anomalies] == ["b"]


def test_transactions_of_another_form_are_not_judged() -> None:
    told = Told()
    told.did(Txn((), (Put("a"), Put("b")), ()), TxnResult(succeeded=True), 2)
    verdict = judge(told)
    assert verdict.valid is True
    assert "not applicable" in verdict.why
    assert verdict.counts == {}


def test_a_comparison_that_nothing_explains_leaves_it_undecided() -> None:
    told = Told()
    told.did(swap("mod", "=", 77, "2"), TxnResult(succeeded=False, responses=(read("a", None),)), 2)
    verdict = judge(told)
    assert verdict.valid is None
    assert "revision 77" in verdict.why


@pytest.mark.parametrize("workload", ["register", "set"])
def test_generated_histories_are_linearizable(workload: str) -> None:
    history = History.of(generate(workload, 3000, uncertain=0.05, seed=11).events)
    assert check_linearizable(Evidence(history)).valid is True


@settings(max_examples=200, deadline=None)
@given(maybe_spoilt())
def test_what_no_order_of_values_explains_no_revisions_explain(
    made: tuple[list[Operation], list[Change]],
) -> None:
    ops, changes = made
    evidence = Evidence(history_of(ops), members_of(changes))
    if check_linearizable(evidence).valid is False:
        assert check_mvcc(evidence).valid is False


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
    spoilt = Evidence(History((), tuple(ops), ()), made.members)
    assert check_linearizable(spoilt).valid is False
    assert check_mvcc(spoilt).valid is False


def test_many_uncertain_writes_of_many_clients_are_decided() -> None:
    made = generate("register", 4_000, 100, uncertain=0.4, seed=1)
    evidence = Evidence(History.of(made.events), search_limit_s=1.0)
    assert check_linearizable(evidence).valid is True


def deleting_clients(seed: int, operations: int = 800, clients: int = 30) -> Told:
    """One key that many clients put, get and delete; some have no answer."""
    chance = Random(seed)
    told = Told()
    value: str | None = None
    waiting: dict[int, tuple[int, Any]] = {}
    for number in range(operations):
        client = chance.randrange(clients)
        if client not in waiting:
            asked = chance.choice((Range("a"), Range("a"), Put("a", f"{number}"), Delete("a")))
            waiting[client] = (told.ask(asked), asked)
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
            told.info(process)
        else:
            told.ok(process, answer, number + 2)
    return told


@pytest.mark.parametrize("seed", range(6))
def test_keys_that_are_deleted_again_and_again_are_decided(seed: int) -> None:
    told = deleting_clients(seed)
    evidence = Evidence(told.history(), search_limit_s=5.0)
    assert check_linearizable(evidence).valid is True
    first = next(
        op for op in told.history().operations
        if isinstance(op.request, Put) and op.outcome == "ok"
    )
    told.did(Put("a", "last"), PutResult(), 9_000)
    assert isinstance(first.request, Put)
    told.did(Range("a"), read("a", first.request.value), 9_000)
    spoilt = Evidence(told.history(), search_limit_s=5.0)
    assert check_linearizable(spoilt).valid is False


def test_what_proves_it_alone_is_told_as_one() -> None:
    told = Told()
    told.did(Range("a"), read("a", "nobody wrote it"), 2)
    (anomaly,) = judge(told).anomalies
    assert "no order explains this operation (get a -> nobody wrote it)" in anomaly.because
