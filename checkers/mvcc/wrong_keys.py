"""Compares the answer to a read with the store, key by key."""

from __future__ import annotations

from splitbrain.checkers.model.sequential_store import SequentialStore
from splitbrain.checkers.mvcc.refuted_choices import (
    Dependence,
    KeySets,
    on_all_fields,
    on_versions,
)
from splitbrain.histories.history import Operation
from splitbrain.histories.kv import Range, RangeResult


def wrong_keys(
    store: SequentialStore, op: Operation, sets: KeySets
) -> dict[str, Dependence]:
    """Return the keys that the answer of the read `op` shows wrongly, and what is wrong.

    The result is empty if `op` is no read, or if it does not show all keys of its interval.
    """
    request, result = op.request, op.result
    if not isinstance(request, Range) or not isinstance(result, RangeResult) or request.partial:
        return {}
    shown = {kv.key: kv for kv in result.kvs}
    if request.range_end:
        held = {kv.key: kv for kv in store.interval(request.key, request.range_end)}
    else:
        one = store.held(request.key)
        held = {} if one is None else {one.key: one}
    wrong = {}
    for key in {**shown, **held}:
        expected, answered = held.get(key), shown.get(key)
        if expected != answered:
            same_version = expected is not None and answered is not None and (
                (expected.create_revision, expected.version)
                == (answered.create_revision, answered.version)
            )
            of = sets.of(key)
            wrong[key] = on_all_fields(of) if same_version else on_versions(of)
    return wrong
