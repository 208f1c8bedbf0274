"""`transactions`: the transactions that a history's key-value requests were.

Of the workload `append` each key is a list (`splitbrain.histories.list_value`), of `wr` a
register. A
transaction of the store is one; a get, a range and a put are one of their own. What a
guard that held says of a key was read by it: its value, or, by its mod_revision, what
some answer showed at this revision. One whose guard failed read what its other branch
did; what it would have written failed.

Reads that may be old (serializable, or of a past revision) are left out: nobody promised
that they fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from splitbrain.checkers.model.requests import parts
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
"""The `f` by which a history says what its keys are."""




def transactions_of(history: History, lists: bool) -> list[Transaction]:
    """The transactions over `lists`, or over registers, in the order of their invocations."""
    return list(_Reading(history, lists).run())


@dataclass(slots=True)
class _Reading:
    history: History
    lists: bool
    _keys: tuple[str, ...] = ()
    """All that were ever to be put, in their order."""
    _shown: dict[tuple[str, int], str] = field(default_factory=dict)
    """What a key held from a revision on, as answers showed it."""

    def run(self) -> Iterator[Transaction]:
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
                    # Its own put of the same transaction has no other revision.
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
            one for part in self._wanted(op.request) for one in self._written(part)
        )
        if made:
            yield self._transaction(op, outcome, made)

    @staticmethod
    def _wanted(request: Request) -> Iterator[Put]:
        """The puts of a request, if its guard holds."""
        wanted = request.success if isinstance(request, Txn) else (request,)
        for one in wanted:
            for part in parts(one):
                if isinstance(part, Put):
                    yield part

    def _transaction(
        self, op: Operation, outcome: str, made: tuple[MicroOperation, ...]
    ) -> Transaction:
        return Transaction(
            op.process,
            outcome,  # type: ignore[arg-type]
            made,
            op.invoked,
            None if outcome == "info" else op.returned,
            op.call,
            op.ended,
            op.node or "",
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
                        yield from self._guarded(compare)
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

    def _guarded(self, compare: Compare) -> Iterator[MicroOperation]:
        """What a comparison that held says that its key held."""
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
