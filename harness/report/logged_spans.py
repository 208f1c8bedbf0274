"""Somebody else's operations as a picture needs them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from splitbrain.checkers.foreign.recorded_operation import MS, times_of
from splitbrain.checkers.transactions.wording import operation
from splitbrain.harness.report.spans import Span
from splitbrain.histories.formats.foreign_operation import ForeignOperation
from splitbrain.histories.transaction import Transaction

READS = ("read", "get")


def spans_of(logged: Iterable[ForeignOperation]) -> tuple[Span, ...]:
    """In the order of their invocations; without times, a millisecond an event."""
    return tuple(_span(op) for op in logged)


def _span(op: ForeignOperation) -> Span:
    call, ended = times_of(op)
    of = "" if op.key == "" else f" {op.key}"
    reads = op.f in READS
    asked = "" if op.argument is None or reads else f" {_text(op.argument)}"
    # A write answered with what was written says no more than that it was done.
    silent = op.answer is None or op.answer == op.argument
    told = "done" if silent and not reads else _text(op.answer)
    return Span(
        op.process, op.f, op.node, op.outcome, f"{op.f}{of}{asked}".encode(),
        told.encode() if op.outcome == "ok" else b"", op.error, op.call, op.ended,
        call, ended,
    )


def spans_of_transactions(transactions: Iterable[Transaction]) -> tuple[Span, ...]:
    """In the order of their invocations; without times, a millisecond an event."""
    return tuple(_transaction_span(one) for one in transactions)


def _transaction_span(one: Transaction) -> Span:
    call = one.invoked * MS if one.call_ns < 0 else one.call_ns
    ended = one.ended_ns
    if ended is None or ended < 0:
        ended = None if one.returned is None else one.returned * MS
    return Span(
        one.process, "txn", one.node or None, one.outcome,
        "; ".join(operation(made) for made in one.operations).encode(),
        b"done" if one.outcome == "ok" else b"", None, one.invoked, one.returned, call, ended,
    )


def _text(value: Any) -> str:
    if value is None:
        return "nil"
    return value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=str).decode()
