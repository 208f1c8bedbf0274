"""Counters, unique ids, queues and sets in histories of other tools.

They are judged by the checkers for recorded histories: each operation of a log is converted to
the request that a client of a store would have sent. The functions are those of Jepsen: `add`
and `read` of a number; `generate`; `enqueue`, `dequeue` and `drain`, which dequeues until the
queue is empty; `add` and `read` of a set.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.foreign.recorded_operation import Logged, element_text, recorded
from splitbrain.checkers.objects.counter import INCREMENT, check_counter
from splitbrain.checkers.objects.queue import DEQUEUE, DEQUEUE_ONE, ENQUEUE, check_queue
from splitbrain.checkers.objects.set_full import check_set_full
from splitbrain.checkers.objects.unique_ids import each_once, verdict_of
from splitbrain.checkers.verdict import Anomaly, Verdict, merge
from splitbrain.histories.errors import HistoryError
from splitbrain.histories.formats.foreign_operation import ForeignOperation
from splitbrain.histories.history import History, Operation
from splitbrain.histories.kv import (
    Delete,
    DeleteResult,
    Header,
    KeyValue,
    Put,
    PutResult,
    Range,
    RangeResult,
)

_HEADER = Header(revision=1)
_EMPTY = ("empty", "exhausted")
"""Words in the error of a `dequeue` that found the queue empty."""


def check_counters(logged: Logged, timeout_s: float | None = None) -> Verdict:
    """Each acknowledged `add` of a number counts once in later reads."""
    return check_counter(Evidence(History((), tuple(map(_counted, logged)), ())))


def _counted(op: ForeignOperation) -> Operation:
    name = element_text(op.key) or "counter"
    if op.f == "add":
        amount = _number(op, op.argument, op.call)
        return recorded(op, Put(name, f"{amount:+d}"), PutResult(_HEADER), f=INCREMENT)
    value = "" if op.outcome != "ok" else str(_number(op, op.answer, op.ended))
    return recorded(op, Range(name), RangeResult(_HEADER, (KeyValue(name, value),), 1))


def _number(op: ForeignOperation, given: object, event: int | None) -> int:
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    raise HistoryError(
        f"event {event}: the {op.f} of a counter has the value {given!r}; expected a whole number"
    )


def check_generated_ids(logged: Logged, timeout_s: float | None = None) -> Verdict:
    """No two answers of `generate` are equal."""
    given = [
        (element_text(op.answer), recorded(op, Put("id"), PutResult(_HEADER)))
        for op in logged
        if op.outcome == "ok"
    ]
    findings = Findings()
    each_once("id", given, findings)
    return verdict_of(findings, len(given), len(logged))


def check_queues(logged: Logged, timeout_s: float | None = None) -> Verdict:
    """Each enqueued element is dequeued once. Each key is a queue."""
    by_key: dict[object, list[ForeignOperation]] = {}
    for op in logged:
        by_key.setdefault(element_text(op.key), []).append(op)
    verdicts = [
        check_queue(Evidence(History((), tuple(one for op in own for one in _queued(op)), ())))
        for own in by_key.values()
    ]
    counts: dict[str, int] = {}
    for verdict in verdicts:
        for name, count in verdict.counts.items():
            counts[name] = counts.get(name, 0) + count
    return Verdict(
        "queue",
        merge(verdict.valid for verdict in verdicts),
        tuple(anomaly for verdict in verdicts for anomaly in verdict.anomalies),
        dict(counts),
        "; ".join(dict.fromkeys(verdict.why for verdict in verdicts if verdict.why)),
    )


def _queued(op: ForeignOperation) -> Iterator[Operation]:
    """`op` as requests of a client. A `drain` becomes several."""
    nothing = RangeResult(_HEADER)
    if op.f == "enqueue":
        yield recorded(op, Put(element_text(op.argument)), PutResult(_HEADER), f=ENQUEUE)
    elif op.outcome == "ok":
        taken = op.answer if op.f == "drain" else [] if op.answer is None else [op.answer]
        if not isinstance(taken, list):
            raise HistoryError(
                f"event {op.ended}: a drain returned {taken!r}; expected the elements, as a list"
            )
        for one in taken:
            yield recorded(op, Delete(element_text(one)), DeleteResult(_HEADER, 1), f=DEQUEUE)
        if op.f == "drain":
            yield recorded(op, Range("", "\0"), nothing)
    elif op.outcome == "info":
        taking = DEQUEUE if op.f == "drain" else DEQUEUE_ONE
        yield recorded(op, Delete("", "\0"), DeleteResult(_HEADER), f=taking)
    elif any(word in (op.error or "").lower() for word in _EMPTY):
        found = msgspec.structs.replace(op, outcome="ok")
        yield recorded(found, Range("", "\0"), nothing)


def check_sets(logged: Logged, timeout_s: float | None = None) -> Verdict:
    """The elements of each set: none is lost, stale, duplicated or unexpected."""
    by_key: dict[Any, list[ForeignOperation]] = {}
    for op in logged:
        by_key.setdefault(op.key, []).append(op)
    verdicts = [(key, check_set_full(Evidence(_set_history(own)))) for key, own in by_key.items()]
    counts: dict[str, Any] = {}
    anomalies: list[Anomaly] = []
    for key, verdict in verdicts:
        of = f"set {key}: " if len(verdicts) > 1 else ""
        for name, count in verdict.counts.items():
            counts[name] = counts.get(name, 0) + count
        anomalies += [
            msgspec.structs.replace(one, because=of + one.because) for one in verdict.anomalies
        ]
    why = "; ".join(dict.fromkeys(verdict.why for _, verdict in verdicts if verdict.why))
    valid = merge(verdict.valid for _, verdict in verdicts)
    return Verdict("set_full", valid, tuple(anomalies), counts, why)


def _set_history(logged: Logged) -> History:
    """The log as a history of keys: an element is a key, and a read is a range over all keys."""
    return History((), tuple(_set_operation(op) for op in logged), ())


def _set_operation(op: ForeignOperation) -> Operation:
    request: Put | Range
    result: PutResult | RangeResult | None = None
    header = Header(revision=1)
    if op.f == "add":
        request = Put(element_text(op.argument))
        result = PutResult(header)
    else:
        request = Range("", "\0")
        if op.outcome == "ok":
            if not isinstance(op.answer, list):
                raise HistoryError(
                    f"event {op.ended}: the read of a set returned {op.answer!r}; expected the "
                    "elements, as a list or a set"
                )
            kvs = tuple(KeyValue(element_text(one)) for one in op.answer)
            result = RangeResult(header, kvs, len(kvs))
    return recorded(op, request, result)
