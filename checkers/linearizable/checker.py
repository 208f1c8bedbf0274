"""`linearizable`: each key of a history is a linearizable register, by porcupine's search.

It looks at values alone and trusts no revision: a second opinion on what `mvcc` orders
by revisions. Keys are judged one by one (P-compositionality), which says all there is
to say of operations on one key. A range over several keys is judged as a read of each:
what it claims of them together is `mvcc`'s affair.

Where each value of a key is written once, as the workloads do, that is decided by
sorting; only what is left, such as keys that are deleted, is searched.

It applies where every write is of one key: puts, deletes of a key, and transactions of
the form "if this key is so, put it, else read it". Comparisons of `mod_revision` are
taken as comparisons of the value that this revision gave, which some answer must have
shown, and for which values must be unique.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from splitbrain.checkers import wording
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.linearizable.store_register import (
    REGISTERS,
    Before,
    Op,
    Read,
    State,
    Swap,
    Write,
    describe,
    read_only,
)
from splitbrain.checkers.minimise.delta_debugging import minimise, shortest_prefix
from splitbrain.checkers.minimise.history_part import furthest
from splitbrain.checkers.model.answers import key_values
from splitbrain.checkers.model.requests import must_be_recent, parts
from splitbrain.checkers.model.sequential_store import text_order
from splitbrain.checkers.porcupine import (
    CheckResult,
    Operation,
    PartitionInfo,
    check_operations,
    check_operations_verbose,
)
from splitbrain.checkers.verdict import Anomaly, Verdict, not_applicable
from splitbrain.checkers.wording import together
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
from splitbrain.histories.service import makes_keys

NAME = "linearizable"
EXPLANATION_S_MAX = 10.0
"""How long an explanation may be made smaller, all keys together."""
QUESTION_S_MAX = 0.5
"""A part that takes longer to refute than this is no explanation."""


class NotApplicable(Exception):
    """The history has operations that are not of single registers."""


class Undecidable(Exception):
    """It is not known what an operation compared with."""


def check_linearizable(evidence: Evidence) -> Verdict:
    """Every key is a linearizable register, by its values alone.

    Judges histories whose writes are each of one key. Undecided when the limit of time
    or memory is reached.
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
        return Verdict(NAME, True, counts=counts)
    if result is CheckResult.UNKNOWN:
        return Verdict(NAME, None, counts=counts, why=info.why)
    illegal = [part for part in info.partitions if part.result is CheckResult.ILLEGAL]
    deadline = time.monotonic() + EXPLANATION_S_MAX
    recorded = {op.invoked: op for op in evidence.history.operations}
    anomalies = tuple(_explain(part, recorded, deadline) for part in illegal)
    return Verdict(NAME, False, anomalies, counts)


# --- from requests to registers ------------------------------------------------


def register_operations(history: History) -> list[Op]:
    """The history as operations of registers; times are indexes of events. Raises
    NotApplicable or, if only knowledge is wanting, Undecidable."""
    for service in history.services:
        if makes_keys(service.request):
            raise NotApplicable(
                f"event {service.invoked} is a {service.f}, whose keys the store makes itself"
            )
    values = _Values(history.operations)
    operations: list[Op] = []
    wanting: Undecidable | None = None
    for op in history.operations:
        if op.outcome != "fail":
            operations.extend(_expiries(op))
            try:
                operations.extend(_operations(op, values))
            except Undecidable as reason:
                wanting = wanting or reason
    if wanting is not None:
        raise wanting
    return operations


class _Values:
    """Which value a revision gave a key, as answers show it."""

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
        """All keys ever named in the interval of `request`."""
        first = bisect_left(self._names, text_order(request.key))
        end = request.range_end
        last = len(self._names) if end == "\0" else bisect_left(self._names, text_order(end))
        return self._keys[first:last]

    def _note_branch(self, request: Txn, result: TxnResult) -> None:
        for one in request.success if result.succeeded else request.failure:
            if isinstance(one, Put):
                self._at[one.key, result.header.revision] = one.value

    def given_by(self, key: str, revision: int) -> str:
        value = self._at.get((key, revision))
        if value is None:
            raise Undecidable(f"no answer shows what revision {revision} gave {key}")
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
        case Put(key, value):
            before = _before_put(op) if known else None
            yield Operation(op.process, Write(key, value), op.invoked, before, ret)
        case Delete(key, range_end):
            if range_end:
                raise NotApplicable(f"event {op.invoked} deletes an interval")
            before = _before_delete(op) if known else None
            yield Operation(op.process, Write(key, None), op.invoked, before, ret)
        case Txn():
            swap = _swap(op, values)
            before = _before_swap(op) if known else None
            yield Operation(op.process, swap, op.invoked, before, ret)


def _expiries(op: Recorded) -> Iterator[Op]:
    """A key put with a lease may be gone at any time after: a delete that may have happened."""
    for part in parts(op.request):
        if isinstance(part, Put) and part.lease:
            yield Operation(op.process, Write(part.key, None), op.invoked + 0.5, None)


def _reads(request: Range, result: Any, values: _Values) -> Iterator[tuple[Read, State]]:
    if not must_be_recent(request) or request.keys_only or request.count_only:
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
    told = op.request.prev_kv and isinstance(op.result, PutResult)
    kv: KeyValue | None = getattr(op.result, "prev_kv", None)
    return Before(True, told, kv.value if kv else None)


def _before_delete(op: Recorded) -> Before:
    assert isinstance(op.request, Delete)
    if not isinstance(op.result, DeleteResult):
        return Before(True, False, None)
    if not op.result.deleted:
        return Before(True, True, None)
    told = bool(op.result.prev_kvs)
    return Before(True, told, op.result.prev_kvs[0].value if told else None)


def _swap(op: Recorded, values: _Values) -> Swap:
    """A transaction of one comparison and one put of the same key, and at most a read of it."""
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
        raise NotApplicable(f"event {op.invoked} is a transaction of another form")
    expected, negated = _expected(compare, values, op.invoked)
    return Swap(put.key, expected, negated, put.value)


def _plain_get(request: Range, key: str) -> bool:
    plain = not (request.range_end or request.revision or request.keys_only or request.count_only)
    return plain and request.key == key


def _expected(compare: Compare, values: _Values, event: int) -> tuple[State, bool]:
    """The value that a comparison for (in)equality is about, and whether it is negated."""
    match compare:
        case Compare(_, "value", "=", operand):
            return str(operand), False
        case Compare(key, "mod", ("=" | "!=") as sign, int(operand)):
            return values.given_by(key, operand) if operand else None, sign == "!="
        case Compare(_, "version" | "create", ("=" | "!=") as sign, 0):
            return None, sign == "!="
        case Compare(_, "version" | "create", ">", 0):
            return None, True
    raise NotApplicable(f"event {event} compares otherwise than for equality")


def _before_swap(op: Recorded) -> Before:
    result = op.result
    if not isinstance(result, TxnResult):
        raise NotApplicable(f"event {op.returned} does not answer a transaction")
    first = result.responses[0] if result.responses else None
    if isinstance(first, RangeResult):
        return Before(result.succeeded, True, first.kvs[0].value if first.kvs else None)
    if isinstance(first, PutResult) and first.prev_kv is not None:
        return Before(result.succeeded, True, first.prev_kv.value)
    return Before(result.succeeded, False, None)


# --- an illegal register, explained ----------------------------------------------


def _explain(
    part: PartitionInfo[Any, Any], recorded: Mapping[int, Recorded], deadline: float
) -> Anomaly:
    """The shortest prefix that is illegal, and of it only what the contradiction needs.

    What is left out cannot have been the reason. Reads may always be left out. A write
    is left out if nothing kept has met its value, and else kept as one that may have
    happened or not.
    """
    operations = list(part.operations)
    ends = sorted(op.ret for op in operations if op.ret != math.inf)

    def illegal_at(count: int) -> bool:
        return count == len(ends) or _is_illegal(_until(operations, ends, count))

    before = _until(operations, ends, shortest_prefix(len(ends), illegal_at))
    certain = [op for op in before if op.ret != math.inf]

    def still_illegal(kept: list[Op]) -> bool:
        return time.monotonic() < deadline and _is_illegal(_with_only(kept, before))

    needed = certain
    if still_illegal(certain):
        needed = minimise(certain, still_illegal)
    key = part.operations[0].input.key
    others = [op for op in before if not read_only(op.input, op.output)]
    found = furthest(REGISTERS, needed, others)
    events = sorted({int(at) for op in needed for at in (op.call, op.ret)})
    steps = "; ".join(describe(op.input, op.output) for op in needed[:8])
    because = (
        f"{key} is not a linearizable register: no order explains {together(len(needed))} "
        f"({steps}), whichever of the others happened"
    )
    if found.stuck is not None:
        stuck = describe(found.stuck.input, found.stuck.output)
        who = recorded[int(found.stuck.call)]
        because += (
            f". What {wording.node(who)} answered process {who.process} at "
            f"{wording.seconds(who.ret or 0)}, {stuck}, does not fit: before it the longest order "
            f"that fits leaves {key} = {found.state}"
        )
    return Anomaly(
        "not linearizable",
        because,
        tuple(events),
        detail={
            "key": key,
            "operations": [int(op.call) for op in part.operations],
            "linearization": [int(op.call) for op in found.order],
            "stuck": None if found.stuck is None else int(found.stuck.call),
            "state": found.state,
        },
    )


def _until(operations: list[Op], ends: list[float], count: int) -> list[Op]:
    """What had been seen by the `count`-th return: later ones are still under way."""
    if not count:
        return []
    last = ends[count - 1]
    return [_pending(op) if op.ret > last else op for op in operations if op.call <= last]


def _with_only(kept: list[Op], before: list[Op]) -> list[Op]:
    """`kept` as they are, and of `before` what the values that they met may come from."""
    held = {op.call for op in kept}
    met = {op.input.expected for op in kept if isinstance(op.input, Swap)}
    blind = False
    for op in kept:
        if isinstance(op.input, Read):
            met.add(op.output)
        elif op.output is not None and op.output.told:
            met.add(op.output.value)
        elif isinstance(op.input, Swap) and op.output is not None:
            # It met some value, and which one was not told: any write may be the reason.
            blind = blind or op.output.swapped is op.input.negated
    others = [
        _pending(op)
        for op in before
        if op.call not in held
        and not isinstance(op.input, Read)
        and (blind or op.input.value in met)
    ]
    return kept + others


def _pending(op: Op) -> Op:
    """The same as if it had not ended."""
    return Operation(op.client, op.input, op.call, None)


def _is_illegal(operations: list[Op]) -> bool:
    return check_operations(REGISTERS, operations, QUESTION_S_MAX) is CheckResult.ILLEGAL

