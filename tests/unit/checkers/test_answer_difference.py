"""The messages about wrong answers contain the values that decide."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from splitbrain.checkers.model.evaluation import Evaluation
from splitbrain.checkers.model.sequential_store import SequentialStore
from splitbrain.checkers.mvcc.answer_difference import difference
from splitbrain.histories.kv import (
    Compare,
    Delete,
    KeyValue,
    Put,
    Range,
    RangeResult,
    Txn,
    TxnResult,
)


def store_with(*keys: str, value: str = "1") -> SequentialStore:
    store = SequentialStore()
    for key in keys:
        store.apply(store.revision + 1, Evaluation(store, Put(key, value)).changes)
    return store


def swap(*compare: Compare) -> Txn:
    return Txn(compare, (Put("a", "2"),), (Range("a"),))


@pytest.mark.parametrize(("compare", "answered", "text"), [
    (Compare("a", "value", "=", "1"), False,
     "succeeded False, expected True, because the comparison (value of a = '1') found a='1' "
     "(create 2, mod 2, version 1)"),
    (Compare("a", "value", "=", "7"), True,
     "succeeded True, expected False, because the comparison (value of a = '7') found a='1' "
     "(create 2, mod 2, version 1)"),
    (Compare("x", "version", ">", 0), True,
     "succeeded True, expected False, because the comparison (version of x > 0) found no key"),
    (Compare("x", "mod", "=", 0), False,
     "succeeded False, expected True, because the comparison (mod revision of x = 0) found "
     "no key"),
    (Compare("a", "mod", "<", 3, "c"), True,
     "succeeded True, expected False, because the comparison (mod revision of [a, c) < 3) found "
     "b='1' (create 3, mod 3, version 1)"),
    (Compare("x", "version", "=", 0, "z"), False,
     "succeeded False, expected True, because the comparison (version of [x, z) = 0) found "
     "no key in [x, z)"),
])
def test_a_comparison_is_described_with_the_key_values_that_it_found(
    compare: Compare, answered: bool, text: str
) -> None:
    store = store_with("a", "b")
    request = swap(compare)
    expected = Evaluation(store, request).result
    assert difference(expected, TxnResult(succeeded=answered), request, store) == text


def test_only_the_comparisons_that_decide_are_described() -> None:
    store = store_with("a", "b")
    request = swap(Compare("a", "version", "=", 1), Compare("b", "version", "=", 9))
    expected = Evaluation(store, request).result
    text = difference(expected, TxnResult(succeeded=True), request, store)
    assert "(version of b = 9) found b='1'" in text
    assert "version of a" not in text


def test_a_nested_transaction_that_took_the_wrong_branch_is_described_as_well() -> None:
    store = store_with("a")
    inner = Txn((Compare("a", "version", "=", 5),), (Range("a"),))
    request = Txn((), (Put("b", "1"), inner))
    expected: Any = Evaluation(store, request).result
    given = msgspec.structs.replace(
        expected, responses=(expected.responses[0], TxnResult(succeeded=True))
    )
    assert difference(expected, given, request, store) == (
        "response 1 to txn (if version of a = 5: get a): succeeded True, expected False, because "
        "the comparison (version of a = 5) found a='1' (create 2, mod 2, version 1)"
    )


def answer(kvs: list[KeyValue], count: int | None = None) -> RangeResult:
    return RangeResult(kvs=tuple(kvs), count=len(kvs) if count is None else count)


def test_long_lists_are_described_by_their_differences() -> None:
    store = store_with(*"abcdefgh")
    request = Range("a", "z")
    expected: Any = Evaluation(store, request).result
    right = list(expected.kvs)
    wrong = [*right[:6], msgspec.structs.replace(right[6], value="x"), KeyValue("q", "1", 2, 2, 1)]
    assert difference(expected, answer(wrong), request, store) == (
        "kvs with 8 keys, expected 8: g='x' (create 8, mod 8, version 1), expected g='1' "
        "(create 8, mod 8, version 1); no h, expected h='1' (create 9, mod 9, version 1); q='1' "
        "(create 2, mod 2, version 1), expected no q"
    )
    swapped = [*right[:5], right[6], right[5], right[7]]
    assert difference(expected, answer(swapped), request, store) == (
        "kvs from place 5 on g, f, h, expected f, g, h"
    )
    assert difference(expected, answer(right, 9), request, store) == "count 9, expected 8"
    assert difference(expected, expected, request, store) == ""


def test_long_values_are_described_from_their_first_difference_on() -> None:
    store = store_with("a", value="~" * 100 + "1")
    expected: Any = Evaluation(store, Range("a")).result
    wrong = msgspec.structs.replace(expected.kvs[0], value="~" * 100 + "2")
    text = difference(expected, answer([wrong]), Range("a"), store)
    assert text.endswith("; the value differs from character 100 on: '2', not '1'")


def test_a_lease_that_differs_is_shown() -> None:
    store = store_with("a")
    expected: Any = Evaluation(store, Range("a")).result
    wrong = msgspec.structs.replace(expected.kvs[0], lease=7)
    text = difference(expected, answer([wrong]), Range("a"), store)
    assert "version 1, lease 7)], expected [a='1' (create 2, mod 2, version 1)]" in text


def test_deleted_keys_are_compared() -> None:
    store = store_with("a", "b")
    request = Delete("a", "c", prev_kv=True)
    expected: Any = Evaluation(store, request).result
    given = msgspec.structs.replace(expected, prev_kvs=expected.prev_kvs[:1])
    assert "prev_kvs [a='1'" in difference(expected, given, request, store)
