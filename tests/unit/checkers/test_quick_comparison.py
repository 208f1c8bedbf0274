"""The quick comparison confirms an answer only if it equals the evaluated one."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from splitbrain.checkers.model.answer_facts import made_revision, revision_of
from splitbrain.checkers.model.evaluation import evaluate
from splitbrain.checkers.model.sequential_store import SequentialStore
from splitbrain.checkers.mvcc.quick_comparison import read_agrees, write_agrees
from splitbrain.harness.synthetic.generator import generate
from splitbrain.histories.history import History
from splitbrain.histories.kv import (
    Compare,
    Delete,
    DeleteResult,
    Header,
    KeyValue,
    Put,
    PutResult,
    Range,
    RangeResult,
    Request,
    Result,
    Txn,
    TxnResult,
)

ONE = KeyValue("a", "1", 2, 2, 1)
TWO = KeyValue("b", "2", 3, 3, 1)
REQUESTS: list[Request] = [
    Put("a", "3"), Put("a", "3", prev_kv=True), Put("c", "3", prev_kv=True), Put("a", "3", lease=7),
    Put("a", ignore_value=True, lease=7), Put("a", "3", ignore_lease=True),
    Delete("a"), Delete("c"), Delete("a", "\0", prev_kv=True), Delete("a", "b", prev_kv=True),
    Range("a"), Range("c"), Range("a", "\0"), Range("a", "\0", limit=1), Range("a", "\0", limit=2),
    Range("a", "\0", limit=1, sort_by="mod", descend=True), Range("a", count_only=True),
    Range("a", "c", keys_only=True), Range("a", "\0", min_mod=3), Range("a", min_mod=3),
    Txn((), (Put("a", "3"), Range("a", "\0"), Delete("a"), Range("a", "\0", limit=1))),
    Txn((), (Put("a0", "3"), Range("a", "\0"), Range("a0"), Range("b"), Delete("a", "\0"))),
    Txn((), (Put("a", "3"), Txn((), (Put("b", "4", prev_kv=True), Range("a", "c"))), Range("b"))),
    Txn((), (Range("a"), Range("b", "c")), ()),
]


def store_with_two_keys() -> SequentialStore:
    store = SequentialStore()
    store.write(2, (ONE,))
    store.write(3, (TWO,))
    return store


def confirmed(store: SequentialStore, request: Request, result: Result) -> bool:
    if isinstance(request, Range):
        return read_agrees(store, request, result)
    return write_agrees(store, request, result) is not None


@pytest.mark.parametrize("request_", REQUESTS, ids=str)
def test_no_wrong_answer_is_confirmed(request_: Request) -> None:
    store = store_with_two_keys()
    right, made = evaluate(store, request_, None)
    if isinstance(request_, Range):
        pass  # a read makes nothing
    elif (found := write_agrees(store, request_, right)) is not None:
        assert list(found) == list(made)
    for wrong in wrong_answers(right):
        assert not confirmed(store, request_, wrong), wrong


def wrong_answers(right: Result) -> list[Result]:
    """Answers that differ from `right` in one place, and answers of another type."""
    other = KeyValue("a", "9", 2, 2, 1)
    found: list[Any] = []
    match right:
        case PutResult():
            found += [replace(right, prev_kv=kv) for kv in (None, ONE, TWO, other)]
        case RangeResult():
            kvs = right.kvs
            changed = [kvs[1:], kvs[:-1], kvs[::-1], (*kvs, other), (other, *kvs[1:])]
            found += [replace(right, kvs=one) for one in changed]
            found += [replace(right, count=right.count + 1), replace(right, more=not right.more)]
        case DeleteResult():
            found += [replace(right, deleted=right.deleted + 1)]
            found += [replace(right, prev_kvs=kvs) for kvs in ((), (ONE,), (other,), (ONE, other))]
        case TxnResult():
            found += [replace(right, succeeded=not right.succeeded)]
            found += [replace(right, responses=right.responses[:-1])]
            for place, one in enumerate(right.responses):
                inside = [*wrong_answers(one), replace(one, header=Header(revision=4))]
                for wrong in inside:
                    responses = (*right.responses[:place], wrong, *right.responses[place + 1 :])
                    found.append(replace(right, responses=responses))
    others = (PutResult(), DeleteResult(), TxnResult())
    found += [one for one in others if type(one) is not type(right)]
    return [one for one in found if one != right]


@pytest.mark.parametrize("compare", ["version", "create", "mod", "lease"])
def test_a_wrong_branch_is_not_confirmed(compare: Any) -> None:
    store = store_with_two_keys()
    for key in ("a", "c"):
        for relation in ("=", "!=", "<", ">"):
            txn = Txn((Compare(key, compare, relation, 1),), (Put("a", "3"),), (Put("a", "4"),))
            right, made = evaluate(store, txn)
            assert isinstance(right, TxnResult)
            assert write_agrees(store, txn, right) == made
            assert write_agrees(store, txn, replace(right, succeeded=not right.succeeded)) is None


def test_the_right_answers_of_a_generated_history_are_confirmed() -> None:
    made = generate("kv", 2000, clients=16, uncertain=0.0, failing=0.0, seed=3)
    store, seen = SequentialStore(), 0
    operations = History.of(made.events).operations
    for op in sorted(operations, key=revision_of):
        assert op.result is not None
        if made_revision(op.result):
            assert revision_of(op) == store.revision + 1
            expected, changes = evaluate(store, op.request, op.result)
            assert expected == op.result
            assert list(write_agrees(store, op.request, op.result) or ()) == list(changes)
            store.write(revision_of(op), changes)
            seen += 1
    assert seen > 500
