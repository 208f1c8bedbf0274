"""The answers of the sequential store to sorted ranges are those of etcd."""

from __future__ import annotations

import pytest

from splitbrain.checkers.model.evaluation import evaluate
from splitbrain.checkers.model.sequential_store import SequentialStore
from splitbrain.histories.kv import Put, Range, RangeResult, Txn, TxnResult


def filled() -> SequentialStore:
    store = SequentialStore()
    for key, value in (("a", "2"), ("b", "3"), ("c", "1"), ("d", "3")):
        _, made = evaluate(store, Put(key, value))
        store.write(store.revision + 1, made)
    return store


@pytest.mark.parametrize(("request_", "keys"), [
    (Range("a", "z", sort_by="key", descend=True), "dcba"),
    (Range("a", "z", sort_by="value"), "cabd"),
    (Range("a", "z", sort_by="value", descend=True), "bdac"),
    (Range("a", "z", sort_by="value", limit=2), "ca"),
    (Range("a", "z", sort_by="key", descend=True, limit=1), "d"),
    (Range("a", "z", sort_by="value", revision=3), "ab"),
])
def test_a_range_is_sorted_before_it_is_cut(request_: Range, keys: str) -> None:
    store = filled()
    answer, _ = evaluate(store, request_)
    within, _ = evaluate(store, Txn((), (Put("e", "9"), request_)))
    assert isinstance(answer, RangeResult)
    assert "".join(kv.key for kv in answer.kvs) == keys
    assert isinstance(within, TxnResult)
    if request_.revision:
        assert within.responses[1] == answer
