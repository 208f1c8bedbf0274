"""Converts Jepsen's transactions, `[[:append 9 1] [:r 11 nil]]`, to `Transaction`s.

`splitbrain.histories.transaction` describes the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice, zip_longest
from typing import Any

import msgspec

from splitbrain.histories.errors import HistoryError
from splitbrain.histories.formats.foreign_operation import (
    ForeignEvent,
    ForeignOperation,
    foreign_operation,
    pair_events_as,
)
from splitbrain.histories.formats.value_identity import identity
from splitbrain.histories.transaction import Append, MicroOperation, Read, Transaction, Write

SAMPLE_OPERATIONS = 10_000
_Operations = tuple[MicroOperation, ...]
_NAMES = {":append": "append", "append": "append", ":r": "r", "r": "r", ":w": "w", "w": "w"}


def micro_operation_names(operations: Iterable[ForeignOperation]) -> tuple[str, ...]:
    """Return which of append, r and w occur in the first transactions of `operations`.

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
    """Return the transactions of `events`, in the order of their invocations.

    The function keeps no events in memory. Raises HistoryError for a value that is not a
    transaction, and for events that do not pair up; `source` is the file's name for the message.
    """

    def convert(invoke: ForeignEvent, end: ForeignEvent | None) -> Transaction:
        try:
            return _transaction(foreign_operation(invoke, end))
        except HistoryError as problem:
            line = invoke.line if end is None else end.line
            raise HistoryError(f"{source}:{line}: {problem}") from problem

    return pair_events_as(convert, events, source)


def transactions_of(operations: Sequence[ForeignOperation]) -> list[Transaction]:
    """Convert Jepsen's `operations` to transactions, in the same order.

    Raises HistoryError for a value that is not a transaction.
    """
    return [_transaction(op) for op in operations]


def _transaction(op: ForeignOperation) -> Transaction:
    ok = op.outcome == "ok"
    value = op.answer if ok else op.argument
    shown = repr(value)
    operations = _micro_operations(op, value, ok, shown)
    if ok and shown != repr(op.argument):
        _check_same_operations(op, operations)
    return Transaction(
        process=op.process, outcome=op.outcome, operations=operations, invoked=op.call,
        returned=op.ret, call_ns=-1 if op.call_ns is None else op.call_ns, ended_ns=op.ended_ns,
        node=op.node or "",
    )


def _micro_operations(
    op: ForeignOperation, value: Any, ok: bool, shown: str
) -> tuple[MicroOperation, ...]:
    """Return the micro-operations of `value`. `shown` is `repr(value)`.

    If the only quotes in `shown` are those of the function names, no key or value is a string. Then
    msgspec converts all micro-operations at once, which is fast. If there are other quotes, or
    msgspec finds a float or a boolean, each micro-operation is converted alone. A value that is not
    an integer is then replaced by its identity.
    """
    try:
        quotes = shown.count("'") + shown.count('"')
        if quotes == 2 * len(value) and (not ok or all(len(one) == 3 for one in value)):
            named = [[_NAMES[one[0]], *one[1:]] for one in value]
            return msgspec.convert(named, _Operations)
    except (msgspec.ValidationError, TypeError, KeyError, IndexError):
        pass
    return _one_by_one(op, value, ok)


def _check_same_operations(op: ForeignOperation, answered: tuple[MicroOperation, ...]) -> None:
    """Raise HistoryError unless `answered` has the operations of the invocation in the same order.

    Only the values of reads may differ.
    """
    invoked = _one_by_one(op, op.argument, ok=False)
    for place, (one, other) in enumerate(zip_longest(invoked, answered), start=1):
        if one == other or (
            type(one) is Read and type(other) is Read and one.key == other.key
        ):
            continue
        raise HistoryError(
            f"event {op.ended}: micro-operation {place} of the completed transaction is "
            f"{_micro_text(other)}: expected {_micro_text(one)}, as in its invocation"
        )


def _micro_text(one: MicroOperation | None) -> str:
    return "missing" if one is None else msgspec.json.encode(one).decode()


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
    if len(form) > 3:
        raise ValueError(f"{len(form)} elements where 3 are expected")
    key = _written(form[1])
    if name == "append":
        return Append(key, _written(form[2]))
    if name == "w":
        return Write(key, _written(form[2]))
    if not ok:
        return Read(key, None)
    if len(form) < 3:
        raise ValueError("a completed read without a value")
    value = form[2]
    return Read(key, _elements(value) if isinstance(value, list) else identity(value))


def _elements(value: list[Any]) -> tuple[int | str, ...]:
    try:
        return msgspec.convert(value, tuple[int, ...])
    except msgspec.ValidationError:
        return tuple(map(_written, value))


def _written(value: Any) -> int | str:
    """Return the identity (`value_identity`) of a key, or of a value that was appended or written.

    Raises ValueError for nil.
    """
    found = identity(value)
    if found is None:
        raise ValueError("nil where a key or a value is expected")
    return found
