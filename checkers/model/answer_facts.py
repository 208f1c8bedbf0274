"""Reads facts from an answer: its revision, its key-values, and whether the request wrote."""

from __future__ import annotations

from collections.abc import Iterable

from splitbrain.histories.history import Operation
from splitbrain.histories.kv import (
    DeleteResult,
    KeyValue,
    PutResult,
    RangeResult,
    Result,
    TxnResult,
)


def made_revision(result: Result) -> bool:
    """Return whether the request made a revision, according to its answer `result`."""
    kind = type(result)
    if kind is PutResult:
        return True
    if kind is DeleteResult:
        return result.deleted > 0  # type: ignore[union-attr]
    if kind is TxnResult:
        return any(map(made_revision, result.responses))  # type: ignore[union-attr]
    return False


def revision_of(op: Operation) -> int:
    """Return the revision in the header of the answer. `op` must have an answer."""
    assert op.result is not None
    return op.result.header.revision


def key_values(result: Result) -> Iterable[KeyValue]:
    """Yield all key-values in an answer, including those in nested responses."""
    match result:
        case RangeResult():
            yield from result.kvs
        case PutResult():
            if result.prev_kv is not None:
                yield result.prev_kv
        case DeleteResult():
            yield from result.prev_kvs
        case TxnResult():
            for one in result.responses:
                yield from key_values(one)
