"""Describes how an answer differs from the answer that a correct store gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from splitbrain.checkers import wording
from splitbrain.checkers.model.evaluation import REFUSED, compared
from splitbrain.checkers.model.sequential_store import SequentialStore
from splitbrain.histories.kv import (
    Compare,
    DeleteResult,
    KeyValue,
    PutResult,
    RangeResult,
    Request,
    Result,
    Txn,
    TxnResult,
)

SHOWN_MAX = 4
"""A longer list of keys is described only by its differences."""
DIFFERENCES_MAX = 3


def difference(
    expected: Result, given: Result, request: Request, store: SequentialStore
) -> str:
    """Describe how the answer `given` differs from `expected`. Returns "" if they are equal.

    Headers are not compared. `store` is the store before `request` took effect. If a transaction
    took the wrong branch, the description also contains the key-values that its comparisons found
    in `store`.
    """
    if type(expected) is not type(given):
        return f"answered {_kind(given)}, expected {_kind(expected)}"
    if isinstance(expected, PutResult) and isinstance(given, PutResult):
        if expected.prev_kv is REFUSED:
            return "succeeded, expected a refusal, because the key did not exist and had no lease"
        return _field("prev_kv", expected.prev_kv, given.prev_kv)
    if isinstance(expected, RangeResult) and isinstance(given, RangeResult):
        return (
            _key_values("kvs", expected.kvs, given.kvs)
            or _field("count", expected.count, given.count)
            or _field("more", expected.more, given.more)
        )
    if isinstance(expected, DeleteResult) and isinstance(given, DeleteResult):
        return _field("deleted", expected.deleted, given.deleted) or _key_values(
            "prev_kvs", expected.prev_kvs, given.prev_kvs
        )
    if isinstance(expected, TxnResult) and isinstance(given, TxnResult):
        assert isinstance(request, Txn)
        return _txn_difference(expected, given, request, store)
    return ""


def _txn_difference(
    expected: TxnResult, given: TxnResult, request: Txn, store: SequentialStore
) -> str:
    different = _field("succeeded", expected.succeeded, given.succeeded)
    if different:
        return f"{different}{_comparisons(request, expected.succeeded, store)}"
    different = _field("responses", len(expected.responses), len(given.responses))
    if different:
        return different
    branch = request.success if expected.succeeded else request.failure
    for number, (one, other) in enumerate(zip(expected.responses, given.responses, strict=True)):
        different = difference(one, other, branch[number], store)
        if different:
            return f"response {number} to {wording.request(branch[number])}: {different}"
    return ""


def _comparisons(request: Txn, holds: bool, store: SequentialStore) -> str:
    """Describe the comparisons of `request` that decide which branch is right.

    If the transaction should succeed (`holds`), all comparisons are described. Otherwise only the
    false ones are described. The description also contains the key-values that they found.
    """
    judged = [(one, *compared(store, one)) for one in request.compare]
    decisive = [(one, met) for one, met, one_holds in judged if holds or not one_holds]
    if not decisive:
        return ""
    shown = "; ".join(_found(one, met) for one, met in decisive[: wording.LISTED_MAX])
    more = len(decisive) - wording.LISTED_MAX
    return f", because {shown}{f'; and {more} more' if more > 0 else ''}"


def _found(compare: Compare, met: Sequence[KeyValue]) -> str:
    """Describe what a comparison found: `the comparison (version of a = 0) found a='1' (…)`."""
    shown = f"the comparison ({wording.comparison(compare)}) found"
    if not met:
        missing = f"no key in {wording.interval(compare.key, compare.range_end)}"
        return f"{shown} {missing if compare.range_end else 'no key'}"
    listed = ", ".join(wording.key_value(one) for one in met[:DIFFERENCES_MAX])
    return f"{shown} {listed}{', …' * (len(met) > DIFFERENCES_MAX)}"


# --- fields


def _field(name: str, expected: Any, given: Any) -> str:
    if expected == given:
        return ""
    return f"{name} {_text(given)}, expected {_text(expected)}{_hidden(expected, given)}"


def _hidden(expected: Any, given: Any) -> str:
    """Describe where the values of two key-values differ, if they look equal in a message.

    Messages shorten long values, so that different values may look equal. Returns "" if the
    shortened values differ, or if the values are equal.
    """
    if not isinstance(expected, KeyValue) or not isinstance(given, KeyValue):
        return ""
    one, other = given.value, expected.value
    if one == other or wording.value(one) != wording.value(other):
        return ""
    return f"; the value differs {wording.first_difference(one, other)}"


def _key_values(name: str, expected: Sequence[KeyValue], given: Sequence[KeyValue]) -> str:
    """Describe how the key-values `given` differ from `expected`.

    Of long lists, only the differences are described. `name` is the name of the field, such as
    "kvs".
    """
    if expected == given:
        return ""
    if max(len(expected), len(given)) <= SHOWN_MAX:
        hidden = next(filter(None, map(_hidden, expected, given)), "")
        return f"{name} {_text(given)}, expected {_text(expected)}{hidden}"
    right, shown = {one.key: one for one in expected}, {one.key: one for one in given}
    differences = [
        _one(key, right.get(key), shown.get(key))
        for key in dict.fromkeys([*right, *shown])
        if right.get(key) != shown.get(key)
    ]
    if not differences:
        keys, expected_keys = [one.key for one in given], [one.key for one in expected]
        at = next(
            (n for n, pair in enumerate(zip(keys, expected_keys, strict=False))
             if pair[0] != pair[1]), min(len(keys), len(expected_keys)),
        )
        order = ", ".join(keys[at : at + SHOWN_MAX]) or "nothing"
        right_order = ", ".join(expected_keys[at : at + SHOWN_MAX]) or "nothing"
        return f"{name} from place {at} on {order}, expected {right_order}"
    listed = "; ".join(differences[:DIFFERENCES_MAX])
    more = len(differences) - DIFFERENCES_MAX
    return (
        f"{name} with {len(given)} keys, expected {len(expected)}: {listed}"
        f"{f'; and {more} more differences' if more > 0 else ''}"
    )


def _one(key: str, expected: KeyValue | None, given: KeyValue | None) -> str:
    if given is None:
        assert expected is not None
        return f"no {key}, expected {_text(expected)}"
    if expected is None:
        return f"{_text(given)}, expected no {key}"
    return f"{_text(given)}, expected {_text(expected)}{_hidden(expected, given)}"


def _text(value: Any) -> str:
    if isinstance(value, KeyValue):
        return wording.key_value(value)
    if isinstance(value, tuple):
        shown = ", ".join(_text(one) for one in value[:SHOWN_MAX])
        return f"[{shown}{', …' if len(value) > SHOWN_MAX else ''}]"
    return "nothing" if value is None else str(value)


def _kind(result: Result) -> str:
    return type(result).__name__


# --- headers


def wrong_header(result: Result, before: int, after: int) -> str:
    """Describe a response that is inside a transaction and has a wrong revision in its header.

    Returns "" if there is no such response. The allowed revisions are 0, `before` (the
    revision before the transaction) and `after` (the revision after it).
    """
    if not isinstance(result, TxnResult):
        return ""
    for one in result.responses:
        revision = one.header.revision
        if revision not in (0, before, after):
            return (
                f"a response inside the transaction has revision {revision}, expected {before} "
                f"or {after}"
            )
        inner = wrong_header(one, before, after)
        if inner:
            return inner
    return ""


def has_inner_headers(result: Result) -> bool:
    """Return whether a response inside a transaction's answer has a revision in its header."""
    if type(result) is not TxnResult:
        return False
    for one in result.responses:
        if one.header.revision or (type(one) is TxnResult and has_inner_headers(one)):
            return True
    return False
