"""Compares the most frequent answers fast, without building the expected answer.

A comparison confirms an answer only if the answer is certainly right. Otherwise the caller must
evaluate the request with `model/evaluation.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.checkers.model.evaluation import Written, after_put, holds, interval_after
from splitbrain.checkers.model.sequential_store import Made, SequentialStore
from splitbrain.histories.kv import (
    Delete,
    DeleteResult,
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


def read_agrees(store: SequentialStore, request: Range, result: Result) -> bool:
    """Return whether `result` is certainly the right answer to the read `request` of `store`.

    False means that the caller must compute the right answer and compare.
    """
    if type(result) is not RangeResult:
        return False
    if not request.range_end:
        one = store.now.get(request.key)
        if one is None:
            return not result.kvs and not result.count and not result.more
        if request.keys_only or request.count_only or request.filtered or result.more:
            return False
        kvs = result.kvs
        return result.count == 1 and len(kvs) == 1 and kvs[0] == one
    if request.keys_only or request.count_only or request.filtered:
        return False
    return _shows(request, result, store.interval(request.key, request.range_end))


def _shows(request: Range, result: RangeResult, held: Sequence[KeyValue]) -> bool:
    """Return whether `result` certainly shows `held`, the key-values in the interval of `request`.

    The request must neither filter nor leave values out.
    """
    count, limit = len(held), request.limit
    if count != result.count:
        return False
    if 0 < limit < count:
        return not request.sort_by and result.more and result.kvs == tuple(held[:limit])
    return not result.more and result.kvs == tuple(held)


def write_agrees(store: SequentialStore, request: Request, result: Result) -> Made | None:
    """Return the changes of the write `request` if its answer `result` is certainly right.

    Otherwise returns None. `store` is the store before the write, and is not changed.
    """
    if type(request) is Put:
        held = _put_agrees(store.now.get(request.key), request, result, store.revision + 1)
        return None if held is None else (held,)
    made: list[KeyValue | str] = []
    written: Written = {}
    if type(request) is Txn:
        agrees = _txn_agrees(store, request, result, made, written)
    elif type(request) is Delete:
        agrees = _delete_agrees(store, request, result, made, written)
    else:
        return None
    return made if agrees else None


def _put_agrees(
    before: KeyValue | None, request: Put, result: Result, revision: int
) -> KeyValue | None:
    """Return the key-value after the put at `revision` if its answer is certainly right.

    `before` is the key-value of the key before the put, or None if the key was absent.
    """
    if type(result) is not PutResult or request.ignore_value or request.ignore_lease:
        return None
    if result.prev_kv != (before if request.prev_kv else None):
        return None
    return after_put(before, request, revision)


def _delete_agrees(
    store: SequentialStore,
    request: Delete,
    result: Result,
    made: list[KeyValue | str],
    written: Written,
) -> bool:
    if type(result) is not DeleteResult:
        return False
    gone = interval_after(store, written, request.key, request.range_end)
    if len(gone) != result.deleted or result.prev_kvs != (tuple(gone) if request.prev_kv else ()):
        return False
    for one in gone:
        made.append(one.key)
        written[one.key] = None
    return True


def _txn_agrees(
    store: SequentialStore,
    txn: Txn,
    result: Result,
    made: list[KeyValue | str],
    written: Written,
) -> bool:
    """Return whether `result` is certainly the right answer to the transaction `txn`.

    If `txn` is nested, `written` contains the changes that the outer transaction has made so far.
    The changes of `txn` are added to `made` and to `written`. All comparisons see `store` as it was
    before the outermost transaction.
    """
    if type(result) is not TxnResult:
        return False
    succeeded = True
    for compare in txn.compare:
        if not holds(store, compare):
            succeeded = False
            break
    branch, responses = txn.success if succeeded else txn.failure, result.responses
    if succeeded is not result.succeeded or len(branch) != len(responses):
        return False
    for request, given in zip(branch, responses, strict=True):
        if given.header.revision:
            return False
        if type(request) is Put:
            key = request.key
            before = written[key] if key in written else store.now.get(key)
            held = _put_agrees(before, request, given, store.revision + 1)
            if held is None:
                return False
            made.append(held)
            written[key] = held
        elif type(request) is Range:
            if not _inner_read_agrees(store, request, given, written):
                return False
        elif type(request) is Delete:
            if not _delete_agrees(store, request, given, made, written):
                return False
        elif type(request) is not Txn or not _txn_agrees(store, request, given, made, written):
            return False
    return True


def _inner_read_agrees(
    store: SequentialStore, request: Range, result: Result, written: Written
) -> bool:
    if request.revision > 0:
        return False
    if not written:
        return read_agrees(store, request, result)
    if type(result) is not RangeResult:
        return False
    if request.keys_only or request.count_only or request.filtered:
        return False
    return _shows(request, result, interval_after(store, written, request.key, request.range_end))
