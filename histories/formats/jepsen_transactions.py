"""Jepsen's transactions, `[[:append 9 1] [:r 11 nil]]`, as `splitbrain.histories.transaction` has
them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import msgspec

from splitbrain.histories.errors import HistoryError
from splitbrain.histories.formats.foreign_operation import (
    LoggedEvent,
    LoggedOperation,
    logged_operation,
    paired_as,
)
from splitbrain.histories.transaction import Append, MicroOperation, Read, Transaction, Write

LOOKED_AT = 10_000
_Operations = tuple[MicroOperation, ...]
_NAMES = {":append": "append", "append": "append", ":r": "r", "r": "r", ":w": "w", "w": "w"}


def names_of(logged: Iterable[LoggedOperation]) -> tuple[str, ...]:
    """Which of append, r and w the first operations have in their transactions; () if any is
    no transaction."""
    found: dict[str, None] = {}
    for op in islice(logged, LOOKED_AT):
        if not isinstance(op.argument, list):
            return ()
        for made in op.argument:
            name = made[0] if isinstance(made, list) and made else None
            if not isinstance(name, str) or name not in _NAMES:
                return ()
            found[_NAMES[name]] = None
    return tuple(found)


def read_jepsen_transactions(events: Iterable[LoggedEvent], source: str) -> list[Transaction]:
    """The transactions of `events`, without keeping what they were written as. Raises
    HistoryError for what is no transaction, or pairs with nothing."""

    def made(invoke: LoggedEvent, end: LoggedEvent | None) -> Transaction:
        return _transaction(logged_operation(invoke, end))

    return paired_as(made, events, source)


def transactions_of(logged: Sequence[LoggedOperation]) -> list[Transaction]:
    """In the order of their invocations. Raises HistoryError for what is no transaction."""
    return [_transaction(op) for op in logged]


def _transaction(op: LoggedOperation) -> Transaction:
    ok = op.outcome == "ok"
    value = op.answer if ok else op.argument
    try:
        named = [[_NAMES[one[0]], *one[1:]] for one in value]
        made = msgspec.convert(named, _Operations)
    except (msgspec.ValidationError, TypeError, KeyError, IndexError):
        made = _one_by_one(op, value, ok)
    return Transaction(
        op.process, op.outcome, made, op.call, op.ret,
        -1 if op.call_ns is None else op.call_ns, op.ended_ns, op.node or "",
    )


def _one_by_one(op: LoggedOperation, value: Any, ok: bool) -> tuple[MicroOperation, ...]:
    try:
        return tuple([_micro(one, ok) for one in value])
    except (TypeError, ValueError, KeyError, IndexError) as problem:
        at = op.ended if ok else op.call
        raise HistoryError(
            f"event {at}: {str(value)[:120]} is no transaction ({problem}); expected such as "
            "[[:append 9 1] [:r 11 nil]] or [[:w 9 1] [:r 11 nil]]"
        ) from problem


def _micro(made: Any, ok: bool) -> MicroOperation:
    name = _NAMES[made[0]]
    key = _plain(made[1])
    if name == "append":
        return Append(key, _plain(made[2]))
    if name == "w":
        return Write(key, _plain(made[2]))
    value = made[2] if ok and len(made) > 2 else None
    if isinstance(value, list):
        return Read(key, tuple(value))
    return Read(key, None if value is None else _plain(value))


def _plain(value: Any) -> int | str:
    if isinstance(value, int | str) and not isinstance(value, bool):
        return value
    raise ValueError(f"{value!r} where a number or a text is expected")
