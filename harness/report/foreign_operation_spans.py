"""Converts operations that another tool recorded to `Span`, the form in which figures show them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from splitbrain.checkers.foreign.conversion import MS, times_of
from splitbrain.checkers.transactions.wording import operation
from splitbrain.harness.report.operation_spans import Span
from splitbrain.histories.formats.foreign_operation import ForeignOperation
from splitbrain.histories.transaction import Transaction

READS = ("read", "get")


def spans_of(logged: Iterable[ForeignOperation]) -> tuple[Span, ...]:
    """Convert operations of another tool to `Span`, the form of an operation in reports.

    The order stays the same. If the history has no times, the event with index i gets the time i
    ms.
    """
    return tuple(_span(op) for op in logged)


def _span(op: ForeignOperation) -> Span:
    call, ended = times_of(op)
    key = "" if op.key == "" else f" {op.key}"
    is_read = op.f in READS
    argument = "" if op.argument is None or is_read else f" {_text(op.argument)}"
    # The answer of a write is often the written value, which the request already contains.
    is_plain = op.answer is None or op.answer == op.argument
    answer = "done" if is_plain and not is_read else _text(op.answer)
    return Span(
        process=op.process, f=op.f, node=op.node, outcome=op.outcome,
        request=f"{op.f}{key}{argument}".encode(),
        answer=answer.encode() if op.outcome == "ok" else b"", error=op.error, invoked=op.call,
        returned=op.ended, call=call, ended=ended,
    )


def spans_of_transactions(transactions: Iterable[Transaction]) -> tuple[Span, ...]:
    """Convert transactions to `Span`, the form of an operation in reports.

    The order stays the same. If the history has no times, the event with index i gets the time i
    ms.
    """
    return tuple(_transaction_span(transaction) for transaction in transactions)


def _transaction_span(transaction: Transaction) -> Span:
    call = transaction.call_ns
    if call < 0:
        call = transaction.invoked * MS
    ended = transaction.ended_ns
    if ended is None or ended < 0:
        ended = None if transaction.returned is None else transaction.returned * MS
    return Span(
        process=transaction.process, f="txn", node=transaction.node or None,
        outcome=transaction.outcome,
        request="; ".join(operation(made) for made in transaction.operations).encode(),
        answer=b"done" if transaction.outcome == "ok" else b"", error=None,
        invoked=transaction.invoked, returned=transaction.returned, call=call, ended=ended,
    )


def _text(value: Any) -> str:
    """Return a value of another tool as text.

    A string is unchanged, None becomes "nil" as in Jepsen, and any other value becomes JSON.
    """
    if value is None:
        return "nil"
    return value if isinstance(value, str) else msgspec.json.encode(value, enc_hook=str).decode()
