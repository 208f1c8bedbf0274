"""Converts Jepsen's transactions, `[[:append 9 1] [:r 11 nil]]`, to `Transaction`s.

`splitbrain.histories.transaction` describes the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import msgspec

from splitbrain.histories.errors import HistoryError
from splitbrain.histories.formats.foreign_operation import (
    ForeignEvent,
    ForeignOperation,
    foreign_operation,
    pair_events_as,
)
from splitbrain.histories.transaction import Append, MicroOperation, Read, Transaction, Write

SAMPLE_OPERATIONS = 10_000
_Operations = tuple[MicroOperation, ...]
_NAMES = {":append": "append", "append": "append", ":r": "r", "r": "r", ":w": "w", "w": "w"}


def micro_operation_names(operations: Iterable[ForeignOperation]) -> tuple[str, ...]:
    """The names append, r and w, as far as the first transactions of `operations` contain them.

    Returns () if one of the first operations is not a transaction.
    """
    names: dict[str, None] = {}
    for op in islice(operations, SAMPLE_OPERATIONS):
        if not isinstance(op.argument, list):
            return ()
        for micro in op.argument:
            name = micro[0] if isinstance(micro, list) and micro else None
            if not isinstance(name, str) or name not in _NAMES:
                return ()
            names[_NAMES[name]] = None
    return tuple(names)


def read_jepsen_transactions(events: Iterable[ForeignEvent], source: str) -> list[Transaction]:
    """The transactions of `events`, in the order of their invocations.

    The function keeps no events in memory. Raises HistoryError for a value that is not a
    transaction, and for events that do not pair up; `source` is the file's name for the message.
    """

    def convert(invoke: ForeignEvent, end: ForeignEvent | None) -> Transaction:
        return _transaction(foreign_operation(invoke, end))

    return pair_events_as(convert, events, source)


def transactions_of(operations: Sequence[ForeignOperation]) -> list[Transaction]:
    """Convert `operations`. Raises HistoryError for a value that is not a transaction."""
    return [_transaction(op) for op in operations]


def _transaction(op: ForeignOperation) -> Transaction:
    ok = op.outcome == "ok"
    value = op.answer if ok else op.argument
    try:
        named = [[_NAMES[one[0]], *one[1:]] for one in value]
        operations = msgspec.convert(named, _Operations)
    except (msgspec.ValidationError, TypeError, KeyError, IndexError):
        operations = _one_by_one(op, value, ok)
    return Transaction(
        process=op.process, outcome=op.outcome, operations=operations, invoked=op.call,
        returned=op.ret, call_ns=-1 if op.call_ns is None else op.call_ns, ended_ns=op.ended_ns,
        node=op.node or "",
    )


def _one_by_one(op: ForeignOperation, value: Any, ok: bool) -> tuple[MicroOperation, ...]:
    try:
        return tuple([_micro(one, ok) for one in value])
    except (TypeError, ValueError, KeyError, IndexError) as problem:
        at = op.ended if ok else op.call
        raise HistoryError(
            f"event {at}: {str(value)[:120]} is not a transaction ({problem}): expected a "
            "value such as [[:append 9 1] [:r 11 nil]] or [[:w 9 1] [:r 11 nil]]"
        ) from problem


def _micro(form: Any, ok: bool) -> MicroOperation:
    name = _NAMES[form[0]]
    key = _plain(form[1])
    if name == "append":
        return Append(key, _plain(form[2]))
    if name == "w":
        return Write(key, _plain(form[2]))
    value = form[2] if ok and len(form) > 2 else None
    if isinstance(value, list):
        return Read(key, tuple(value))
    return Read(key, None if value is None else _plain(value))


def _plain(value: Any) -> int | str:
    if isinstance(value, int | str) and not isinstance(value, bool):
        return value
    raise ValueError(f"{value!r} where a number or a string is expected")
