"""Describes how an answer differs from the answer that a correct store gives."""

from __future__ import annotations

from typing import Any

from splitbrain.checkers import wording
from splitbrain.histories.kv import (
    DeleteResult,
    KeyValue,
    PutResult,
    RangeResult,
    Result,
    TxnResult,
)


def difference(expected: Result, given: Result) -> str:
    """Describe how `given` differs from `expected`, apart from headers. "" if they are equal."""
    if type(expected) is not type(given):
        return f"answered {_kind(given)}, expected {_kind(expected)}"
    if isinstance(expected, PutResult) and isinstance(given, PutResult):
        return _field("prev_kv", expected.prev_kv, given.prev_kv)
    if isinstance(expected, RangeResult) and isinstance(given, RangeResult):
        return (
            _field("kvs", expected.kvs, given.kvs)
            or _field("count", expected.count, given.count)
            or _field("more", expected.more, given.more)
        )
    if isinstance(expected, DeleteResult) and isinstance(given, DeleteResult):
        return _field("deleted", expected.deleted, given.deleted) or _field(
            "prev_kvs", expected.prev_kvs, given.prev_kvs
        )
    if isinstance(expected, TxnResult) and isinstance(given, TxnResult):
        return _txn_difference(expected, given)
    return ""


def _txn_difference(expected: TxnResult, given: TxnResult) -> str:
    different = _field("succeeded", expected.succeeded, given.succeeded) or _field(
        "responses", len(expected.responses), len(given.responses)
    )
    if different:
        return different
    for number, (one, other) in enumerate(zip(expected.responses, given.responses, strict=True)):
        different = difference(one, other)
        if different:
            return f"response {number}: {different}"
    return ""


def _field(name: str, expected: Any, given: Any) -> str:
    if expected == given:
        return ""
    return f"{name} {_text(given)}, expected {_text(expected)}"


def _text(value: Any) -> str:
    if isinstance(value, KeyValue):
        return (
            f"{value.key}={wording.value(value.value)} (create {value.create_revision}, "
            f"mod {value.mod_revision}, version {value.version})"
        )
    if isinstance(value, tuple):
        shown = ", ".join(_text(one) for one in value[:4])
        return f"[{shown}{', …' if len(value) > 4 else ''}]"
    return "nothing" if value is None else str(value)


def _kind(result: Result) -> str:
    return type(result).__name__


def wrong_header(result: Result, before: int, after: int) -> str:
    """Describe a response inside a transaction whose header has a wrong revision.

    Returns "" if there is no such response. The allowed revisions are 0, `before` and `after`,
    which are the revisions before and after the transaction.
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
    """Whether the header of a response inside a transaction has a revision."""
    if type(result) is not TxnResult:
        return False
    for one in result.responses:
        if one.header.revision or (type(one) is TxnResult and has_inner_headers(one)):
            return True
    return False
