"""Converts the key-value requests of a history to transactions of micro-operations.

In the workload `append` each key is a list (`splitbrain.histories.list_value`). In the workload
`wr` each key is a register. Each transaction, get, range and put becomes one transaction.

A comparison that succeeded becomes a read of its key. If the comparison is with the value, the
read has this value. If it is with the mod_revision, the read has the value that some answer shows
for this key and mod_revision.

A transaction whose comparisons failed becomes two transactions: one with the reads of its failure
branch, and a failed one with the writes that it did not make.

Reads that may return an old state (serializable reads, and reads of past revisions) are left out,
because no consistency model applies to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from splitbrain.checkers.model.request_parts import parts
from splitbrain.checkers.model.sequential_store import in_interval, text_order
from splitbrain.histories.history import History, Operation
from splitbrain.histories.kv import (
    Compact,
    Compare,
    Put,
    Range,
    RangeResult,
    Request,
    Result,
    Txn,
    TxnResult,
)
from splitbrain.histories.list_value import added_by, elements_of
from splitbrain.histories.transaction import Append, MicroOperation, Read, Transaction, Write

LISTS, REGISTERS = "append", "wr"
"""The functions (`f`) of operations on lists and on registers."""


def transactions_of(history: History, lists: bool) -> list[Transaction]:
    """Convert the operations of `history` to transactions, in the order of their invocations.

    If `lists` is true, each key is a list of elements. Otherwise each key is a register.
    """
    return list(_Reading(history, lists).run())


@dataclass(slots=True)
class _Reading:
    history: History
    lists: bool
    _keys: tuple[str, ...] = ()
    """All keys in puts, ascending."""
    _shown: dict[tuple[str, int], str] = field(default_factory=dict)
    """The value of each key and mod_revision, as far as answers show it."""

    def run(self) -> Iterator[Transaction]:
        """Yield the transactions, in the order of their invocations."""
        keys: dict[str, None] = {}
        for op in self.history.operations:
            for part in parts(op.request):
                if isinstance(part, Put):
                    keys[part.key] = None
            if op.result is not None:
                self._learn(op.request, op.result, op.result.header.revision)
        self._keys = tuple(sorted(keys, key=text_order))
        for op in self.history.operations:
            yield from self._transactions(op)

    def _learn(self, request: Request, result: Result, revision: int) -> None:
        match request, result:
            case Put(), _:
                self._shown[request.key, revision] = request.value
            case Range(keys_only=False), RangeResult():
                for one in result.kvs:
                    # A put of the same transaction has the same revision and takes precedence.
                    self._shown.setdefault((one.key, one.mod_revision), one.value)
            case Txn(), TxnResult():
                branch = request.success if result.succeeded else request.failure
                for one_request, answer in zip(branch, result.responses, strict=False):
                    self._learn(one_request, answer, revision)
            case _:
                pass

    def _transactions(self, op: Operation) -> Iterator[Transaction]:
        request = op.request
        if isinstance(request, Compact):
            return
        if op.outcome == "ok" and op.result is not None:
            made = tuple(self._done(request, op.result))
            if made:
                yield self._transaction(op, "ok", made)
            if isinstance(op.result, TxnResult) and not op.result.succeeded:
                yield from self._not_done(op, "fail")
            return
        yield from self._not_done(op, "fail" if op.outcome == "fail" else "info")

    def _not_done(self, op: Operation, outcome: str) -> Iterator[Transaction]:
        made = tuple(
            one for part in self._puts_on_success(op.request) for one in self._written(part)
        )
        if made:
            yield self._transaction(op, outcome, made)

    @staticmethod
    def _puts_on_success(request: Request) -> Iterator[Put]:
        """Yield the puts that a request makes if its comparisons succeed."""
        requests = request.success if isinstance(request, Txn) else (request,)
        for one in requests:
            for part in parts(one):
                if isinstance(part, Put):
                    yield part

    def _transaction(
        self, op: Operation, outcome: str, made: tuple[MicroOperation, ...]
    ) -> Transaction:
        return Transaction(
            process=op.process,
            outcome=outcome,  # type: ignore[arg-type]
            operations=made,
            invoked=op.invoked,
            returned=None if outcome == "info" else op.returned,
            call_ns=op.call,
            ended_ns=op.ended,
            node=op.node or "",
        )

    def _done(self, request: Request, result: Result) -> Iterator[MicroOperation]:
        match request, result:
            case Put(), _:
                yield from self._written(request)
            case Range(), RangeResult():
                yield from self._read(request, result)
            case Txn(), TxnResult():
                if result.succeeded:
                    for compare in request.compare:
                        yield from self._compared(compare)
                branch = request.success if result.succeeded else request.failure
                for one, answer in zip(branch, result.responses, strict=False):
                    yield from self._done(one, answer)
            case _:
                pass

    def _written(self, put: Put) -> Iterator[MicroOperation]:
        if not self.lists:
            yield Write(put.key, put.value)
            return
        for element in added_by(put.value):
            yield Append(put.key, element)

    def _value(self, held: str | None) -> tuple[str, ...] | str | None:
        if self.lists:
            return elements_of(held or "")
        return held

    def _read(self, request: Range, result: RangeResult) -> Iterator[MicroOperation]:
        if request.serializable or request.revision or request.keys_only or request.count_only:
            return
        if request.filtered:
            return
        shown: Mapping[str, str] = {one.key: one.value for one in result.kvs}
        keys = dict.fromkeys(shown)
        if not request.range_end:
            keys = {request.key: None}
        elif not result.more:
            keys.update(
                (key, None) for key in self._keys
                if in_interval(key, request.key, request.range_end)
            )
        for key in keys:
            yield Read(key, self._value(shown.get(key)))

    def _compared(self, compare: Compare) -> Iterator[MicroOperation]:
        """Yield the read that the successful comparison `compare` implies: the key had the value.

        Yields nothing if the value is unknown.
        """
        if compare.result != "=" or compare.range_end:
            return
        if compare.target == "value":
            yield Read(compare.key, self._value(str(compare.operand)))
        elif compare.operand == 0 and compare.target != "lease":
            yield Read(compare.key, self._value(None))
        elif compare.target == "mod":
            held = self._shown.get((compare.key, int(compare.operand)))
            if held is not None:
                yield Read(compare.key, self._value(held))
