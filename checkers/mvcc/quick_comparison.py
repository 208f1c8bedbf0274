"""Compares the most frequent answers fast, without evaluating the request.

A comparison returns True only if the answer is certainly right. Otherwise the caller must evaluate
the request with `model/evaluation.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.checkers.model.sequential_store import SequentialStore
from splitbrain.histories.kv import KeyValue, Put, PutResult, Range, RangeResult, Result
from splitbrain.histories.member_state import Change


def read_agrees(store: SequentialStore, request: Range, result: Result) -> bool:
    """Return whether `result` is certainly the right answer to the read `request` of `store`.

    False means that the caller must compute the right answer and compare.
    """
    if type(result) is not RangeResult or request.keys_only or request.count_only:
        return False
    if request.filtered:
        return False
    kvs = result.kvs
    if request.range_end:
        if request.limit or result.more:
            return False
        held = store.interval(request.key, request.range_end)
        return len(held) == result.count and kvs == tuple(held)
    one = store.now.get(request.key)
    if one is None:
        return not kvs and not result.count and not result.more
    return result.count == 1 and len(kvs) == 1 and kvs[0] == one and not result.more


def put_agrees(
    store: SequentialStore, request: Put, result: Result, logged: Sequence[Change]
) -> KeyValue | None:
    """Return the key-value after a put if the answer and the log are certainly right, else None.

    `result` is the answer to the put `request`, and `logged` are the changes of its revision in the
    change log.
    """
    if type(result) is not PutResult or len(logged) != 1 or request.keeps:
        return None
    key = request.key
    before = store.now.get(key)
    if result.prev_kv != (before if request.prev_kv else None):
        return None
    revision = store.revision + 1
    created, version = (
        (revision, 1) if before is None else (before.create_revision, before.version + 1)
    )
    change = logged[0]
    if (
        change.key != key
        or change.value != request.value
        or change.version != version
        or change.create_revision != created
        or change.lease != request.lease
        or change.kind != "put"
    ):
        return None
    return KeyValue(key, request.value, created, revision, version, request.lease)
