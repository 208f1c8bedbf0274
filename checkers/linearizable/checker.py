"""`linearizable`: checks that each key is a linearizable register, with porcupine's algorithms.

This checker uses values only and ignores all revisions. It is therefore a second opinion on the
checker `mvcc`, which orders operations by revisions.

Each key is judged separately (P-compositionality), which is exact for operations on one key. A
range over several keys counts as one read of each key. Only `mvcc` judges whether the values of
different keys in one answer belong together.

If each value of a key is written once, as in the project's workloads, the key is decided by
sorting. Most other keys need a search.

The checker applies only if each write changes one key. Such a write is a put, a delete of one key,
or a transaction "if this key has this value, put another value, else read the key". A comparison of
`mod_revision` counts as a comparison with the value that this revision wrote. For this, some answer
must show the value, and the key's values must be unique. A transaction that only reads counts as
one read for each of its ranges.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec.structs import replace

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.linearizable.explanation import explain
from splitbrain.checkers.linearizable.store_register import (
    REGISTERS,
    Before,
    Op,
    Read,
    State,
    Swap,
    Write,
)
from splitbrain.checkers.model.answer_facts import key_values
from splitbrain.checkers.model.request_parts import must_be_recent, parts
from splitbrain.checkers.model.sequential_store import text_order
from splitbrain.checkers.porcupine import (
    CheckResult,
    Operation,
    check_operations_verbose,
)
from splitbrain.checkers.verdict import Verdict, not_applicable, with_evidence
from splitbrain.histories.history import History
from splitbrain.histories.history import Operation as Recorded
from splitbrain.histories.kv import (
    Compact,
    Compare,
    Delete,
    DeleteResult,
    KeyValue,
    Put,
    PutResult,
    Range,
    RangeResult,
    Txn,
    TxnResult,
)
from splitbrain.histories.service_operation import makes_keys

NAME = "linearizable"
EXPLANATION_S_MAX = 10.0
"""The time limit for making the explanations smaller, for all keys together."""


class NotApplicable(Exception):
    """Raised if an operation of the history is not an operation on a single register."""


class Undecidable(Exception):
    """Raised if the history does not show the value with which an operation compared a key.

    A comparison of `mod_revision` refers to the value that this revision wrote. The value is
    unknown if no answer shows it, or if it was written more than once.
    """


def check_linearizable(evidence: Evidence) -> Verdict:
    """Every key is a linearizable register, by its values alone.

    The checker applies only to histories in which each write changes one key. The verdict is
    unknown if no answer shows a value, or if the search reaches its limit of time or memory. It is
    also unknown if the history does not show the value at the revision that a comparison of
    `mod_revision` names.
    """
    try:
        operations = register_operations(evidence.history)
    except NotApplicable as reason:
        return not_applicable(NAME, f"{reason}")
    except Undecidable as reason:
        return Verdict(NAME, None, why=str(reason))
    result, info = check_operations_verbose(REGISTERS, operations, evidence.search_limit_s)
    counts = {"operations": len(operations), "keys": len(info.partitions)}
    if result is CheckResult.OK:
        return with_evidence(
            Verdict(NAME, True, counts=counts), any(map(_shows, operations)),
            "no answer shows the value of a key: no read and no compare-and-swap succeeded",
        )
    if result is CheckResult.UNKNOWN:
        return Verdict(NAME, None, counts=counts, why=info.why)
    illegal = [part for part in info.partitions if part.result is CheckResult.ILLEGAL]
    deadline = time.monotonic() + EXPLANATION_S_MAX
    recorded = {op.invoked: op for op in evidence.history.operations}
    anomalies = tuple(explain(part, recorded, deadline) for part in illegal)
    return Verdict(NAME, False, anomalies, counts)


def _shows(op: Op) -> bool:
    """Return whether the answer to `op` shows something about the register's value before `op`."""
    if isinstance(op.input, Read):
        return True
    return op.output is not None and (op.output.known or isinstance(op.input, Swap))


# --- from requests to registers ------------------------------------------------


def register_operations(history: History) -> list[Op]:
    """Convert the history to operations on registers, whose times are the indexes of events.

    Raises NotApplicable if an operation is not on one register, and Undecidable if the history
    does not show the value that a comparison of `mod_revision` refers to.
    """
    for service in history.services:
        if makes_keys(service.request):
            raise NotApplicable(
                f"event {service.invoked} is a {service.f}, and the store makes its keys itself"
            )
    values = _Values(history.operations)
    operations: list[Op] = []
    undecidable: Undecidable | None = None
    for op in history.operations:
        if op.outcome != "fail":
            operations.extend(_expiries(op))
            try:
                operations.extend(_operations(op, values))
            except Undecidable as reason:
                undecidable = undecidable or reason
    if undecidable is not None:
        raise undecidable
    return operations


class _Values:
    """The values that revisions wrote to keys, as far as the answers in the history show them."""

    def __init__(self, operations: Sequence[Recorded]) -> None:
        self._at: dict[tuple[str, int], str] = {}
        self._writers: dict[tuple[str, str], int] = {}
        keys: dict[str, None] = {}
        for op in operations:
            for part in parts(op.request):
                keys[part.key] = None
                if isinstance(part, Put):
                    written = (part.key, part.value)
                    self._writers[written] = self._writers.get(written, 0) + 1
            if op.result is None:
                continue
            for kv in key_values(op.result):
                self._at[kv.key, kv.mod_revision] = kv.value
            if isinstance(op.request, Put):
                self._at[op.request.key, op.result.header.revision] = op.request.value
            elif isinstance(op.request, Txn) and isinstance(op.result, TxnResult):
                self._note_branch(op.request, op.result)

        self._keys = sorted(keys, key=text_order)
        self._names = [text_order(key) for key in self._keys]

    def keys_in(self, request: Range) -> list[str]:
        """Return the keys that some operation writes, and that are in the interval of `request`."""
        first = bisect_left(self._names, text_order(request.key))
        end = request.range_end
        last = len(self._names) if end == "\0" else bisect_left(self._names, text_order(end))
        return self._keys[first:last]

    def _note_branch(self, request: Txn, result: TxnResult) -> None:
        for one in request.success if result.succeeded else request.failure:
            if isinstance(one, Put):
                self._at[one.key, result.header.revision] = one.value

    def written_by(self, key: str, revision: int) -> str:
        """Return the value that `revision` wrote to `key`. Raises Undecidable if it is unknown."""
        value = self._at.get((key, revision))
        if value is None:
            raise Undecidable(f"no answer shows the value that revision {revision} wrote to {key}")
        if self._writers.get((key, value), 0) > 1:
            raise Undecidable(f"{key}={value!r} is written more than once")
        return value


def _operations(op: Recorded, values: _Values) -> Iterator[Op]:
    ret = math.inf if op.returned is None or op.outcome == "info" else float(op.returned)
    known = op.outcome == "ok"
    match op.request:
        case Compact():
            return
        case Range():
            if known:
                for given, output in _reads(op.request, op.result, values):
                    yield Operation(op.process, given, op.invoked, output, ret)
        case Put(key, ignore_value=True):
            raise NotApplicable(f"event {op.invoked} puts {key} and keeps its value")
        case Put(key, value):
            before = _before_put(op) if known else None
            yield Operation(op.process, Write(key, value), op.invoked, before, ret)
        case Delete(key, range_end):
            if range_end:
                raise NotApplicable(f"event {op.invoked} deletes an interval")
            before = _before_delete(op) if known else None
            yield Operation(op.process, Write(key, None), op.invoked, before, ret)
        case Txn() if not any(True for _ in parts(op.request)):
            if known and must_be_recent(op.request):
                for given, output in _reads_of_txn(op.request, op.result, values):
                    yield Operation(op.process, given, op.invoked, output, ret)
        case Txn():
            swap = _swap(op, values)
            before = _before_swap(op) if known else None
            yield Operation(op.process, swap, op.invoked, before, ret)


def _expiries(op: Recorded) -> Iterator[Op]:
    """Yield a delete at an unknown time for each key that `op` puts and that may have a lease.

    The delete represents the end of the lease, which may or may not happen.
    """
    for part in parts(op.request):
        if isinstance(part, Put) and (part.lease or part.ignore_lease):
            yield Operation(op.process, Write(part.key, None), op.invoked + 0.5, None)


def _reads_of_txn(request: Txn, result: Any, values: _Values) -> Iterator[tuple[Read, State]]:
    """Yield a read of a register for each key that the ranges of the transaction `request` read.

    `request` must contain only reads, and it must be linearizable. All its ranges then read the
    current state, even a range that is marked as serializable.
    """
    if not isinstance(result, TxnResult):
        return
    branch = request.success if result.succeeded else request.failure
    for one, answer in zip(branch, result.responses, strict=False):
        if isinstance(one, Range):
            yield from _reads(replace(one, serializable=False), answer, values)
        elif isinstance(one, Txn):
            yield from _reads_of_txn(one, answer, values)


def _reads(request: Range, result: Any, values: _Values) -> Iterator[tuple[Read, State]]:
    if not must_be_recent(request) or request.keys_only or request.count_only or request.filtered:
        return
    if not isinstance(result, RangeResult) or result.more:
        return
    shown = {kv.key: kv.value for kv in result.kvs}
    if not request.range_end:
        yield Read(request.key), shown.get(request.key)
        return
    for key in values.keys_in(request):
        yield Read(key), shown.get(key)


def _before_put(op: Recorded) -> Before:
    assert isinstance(op.request, Put)
    known = op.request.prev_kv and isinstance(op.result, PutResult)
    kv: KeyValue | None = getattr(op.result, "prev_kv", None)
    return Before(True, known, kv.value if kv else None)


def _before_delete(op: Recorded) -> Before:
    assert isinstance(op.request, Delete)
    if not isinstance(op.result, DeleteResult):
        return Before(True, False, None)
    if not op.result.deleted:
        return Before(True, True, None)
    known = bool(op.result.prev_kvs)
    return Before(True, known, op.result.prev_kvs[0].value if known else None, present=not known)


def _swap(op: Recorded, values: _Values) -> Swap:
    """Convert a transaction to a compare-and-swap of one register.

    The transaction must consist of one comparison, one put of the same key, and at most one read of
    this key. Raises NotApplicable for any other transaction.
    """
    txn = op.request
    assert isinstance(txn, Txn)
    compare = txn.compare[0] if len(txn.compare) == 1 else None
    put = txn.success[0] if len(txn.success) == 1 else None
    otherwise = txn.failure
    if (
        compare is None
        or compare.range_end
        or not isinstance(put, Put)
        or put.key != compare.key
        or len(otherwise) > 1
        or not all(isinstance(r, Range) and _plain_get(r, put.key) for r in otherwise)
    ):
        raise NotApplicable(
            f"event {op.invoked} is a transaction that is not a compare-and-swap of one key"
        )
    expected, negated = _expected(compare, values, op.invoked)
    return Swap(put.key, expected, negated, put.value)


def _plain_get(request: Range, key: str) -> bool:
    plain = not (request.range_end or request.revision or request.keys_only or request.count_only)
    return plain and not request.filtered and request.key == key


def _expected(compare: Compare, values: _Values, event: int) -> tuple[State, bool]:
    """Return the value with which `compare` compares its key, and whether it tests for inequality.

    The value is None if the key is expected to be absent. Raises NotApplicable if `compare` tests
    anything else than the value or the presence of the key. Raises Undecidable if the value is
    unknown. `event` is the index of the event, for the message.
    """
    match compare:
        case Compare(_, "value", "=", operand):
            return str(operand), False
        case Compare(key, "mod", ("=" | "!=") as sign, int(operand)):
            return values.written_by(key, operand) if operand else None, sign == "!="
        case Compare(_, "version" | "create", ("=" | "!=") as sign, 0):
            return None, sign == "!="
        case Compare(_, "version" | "create", ">", 0):
            return None, True
    raise NotApplicable(f"event {event} has a comparison that is not for equality")


def _before_swap(op: Recorded) -> Before:
    result = op.result
    if not isinstance(result, TxnResult):
        raise NotApplicable(f"event {op.returned} is not the answer to a transaction")
    first = result.responses[0] if result.responses else None
    if isinstance(first, RangeResult):
        return Before(result.succeeded, True, first.kvs[0].value if first.kvs else None)
    if isinstance(first, PutResult) and first.prev_kv is not None:
        return Before(result.succeeded, True, first.prev_kv.value)
    return Before(result.succeeded, False, None)
