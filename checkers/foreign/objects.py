"""Judges counters, unique ids, queues and sets in histories of other tools.

Each operation of a log is converted to the request that a client of an etcd-like store would have
sent. The checkers for recorded histories then judge the requests. The functions of the operations
are those of Jepsen:

    counter     `add`, and `read` of a number
    unique ids  `generate`
    queue       `enqueue`, `dequeue`, and `drain`, which dequeues until the queue is empty
    set         `add`, and `read` of the elements
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from splitbrain.checkers import wording
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.foreign.conversion import Logged, recorded
from splitbrain.checkers.objects.counter import INCREMENT, check_counter
from splitbrain.checkers.objects.queue import DEQUEUE, DEQUEUE_ONE, ENQUEUE, check_queue
from splitbrain.checkers.objects.set_full import check_set_full
from splitbrain.checkers.objects.unique_ids import each_once, verdict_of
from splitbrain.checkers.verdict import Anomaly, Verdict, merge
from splitbrain.histories.errors import HistoryError
from splitbrain.histories.formats.foreign_operation import ForeignOperation
from splitbrain.histories.formats.value_identity import Float, value_text
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


def check_counters(
    logged: Logged, timeout_s: float | None = None, initial: Any = None
) -> Verdict:
    """Each acknowledged `add` of a number counts once in later reads.

    Every counter starts at `initial`, or at 0 if `initial` is None. A read that returned something
    other than a whole number is an anomaly of the kind `unexpected`.
    """
    if not any(op.f == "read" and op.outcome == "ok" for op in logged):
        return _no_evidence("counter", "no read of a counter was answered")
    first = 0 if initial is None else initial
    if _whole(first) is None:
        raise HistoryError(
            f"a counter cannot start at {value_text(first)}: expected a whole number"
        )
    strange = [op for op in logged if _shows_no_number(op)]
    rest = [op for op in logged if not _shows_no_number(op)]
    started = [*_first_operations("add", logged, [first] if first else []), *rest]
    verdict = _without_first(
        check_counter(Evidence(History((), tuple(map(_counted, started)), ())))
    )
    if not strange:
        return verdict
    findings = Findings()
    for op in strange:
        shown = recorded(op, Range(_counter(op)), None)
        findings.add(
            "unexpected",
            f"process {op.process}'s read of {_counter(op)}, which ended at "
            f"{wording.seconds(shown.ret or 0)}, returned {value_text(op.answer)}, which is not a "
            "whole number, so no sum of the increments is equal to it",
            shown,
        )
    anomalies = (*findings.anomalies, *verdict.anomalies)
    return msgspec.structs.replace(
        verdict, valid=False, anomalies=anomalies,
        kinds=_summed((findings.by_kind, verdict.kinds)),
    )


def _shows_no_number(op: ForeignOperation) -> bool:
    """Return whether `op` is a read that returned a value that no counter can have."""
    answered = op.f == "read" and op.outcome == "ok" and op.answer is not None
    return answered and _whole(op.answer) is None


def _counter(op: ForeignOperation) -> str:
    return "counter" if op.key == "" else value_text(op.key)


def _counted(op: ForeignOperation) -> Operation:
    name = _counter(op)
    if op.f == "add":
        amount = _number(op, op.argument, op.call)
        return recorded(op, Put(name, f"{amount:+d}"), PutResult(_HEADER), f=INCREMENT)
    value = "" if op.outcome != "ok" else str(_number(op, op.answer, op.ended))
    return recorded(op, Range(name), RangeResult(_HEADER, (KeyValue(name, value),), 1))


def _number(op: ForeignOperation, given: object, event: int | None) -> int:
    whole = _whole(given)
    if whole is None:
        raise HistoryError(
            f"event {event}: the {op.f} of a counter has the value {given!r}; expected a whole "
            "number"
        )
    return whole


def _whole(given: object) -> int | None:
    """Return `given` as an int, or None if it is not a whole number. 1.0 counts as 1."""
    if type(given) is int:
        return given
    if isinstance(given, float) and not isinstance(given, Float) and given.is_integer():
        return int(given)
    return None


def check_generated_ids(
    logged: Logged, timeout_s: float | None = None, initial: Any = None
) -> Verdict:
    """No two answers of `generate` are equal."""
    if initial is not None:
        raise HistoryError("a generator of unique ids has no initial value")
    given = [
        (value_text(op.answer), recorded(op, Put("id"), PutResult(_HEADER)))
        for op in logged
        if op.outcome == "ok"
    ]
    if len(given) < 2:
        return _no_evidence("unique_ids", f"{len(given)} ids were generated")
    findings = Findings()
    each_once("id", given, findings)
    return verdict_of(findings, len(given), len(logged))


# --- initial elements, and logs without evidence ----------------------------------------


def _no_evidence(checker: str, why: str) -> Verdict:
    return Verdict(checker, None, why=f"{why}, so that nothing could have shown a violation")


def _first_operations(f: str, logged: Logged, values: list[Any]) -> list[ForeignOperation]:
    """Return operations with the function `f` that put `values` into each object of the log.

    The operations are invented. They end before the log begins, so that each object starts with
    `values`. Their event numbers are negative.
    """
    keys = list(dict.fromkeys(op.key for op in logged))
    at = -2 * len(keys) * len(values)
    made = []
    for key in keys:
        for value in values:
            made.append(ForeignOperation(
                process=-1, f=f, key=key, argument=value, outcome="ok", answer=value, call=at,
                ret=at + 1, ended=at + 1,
            ))
            at += 2
    return made


def _without_first(verdict: Verdict) -> Verdict:
    """Remove the events of invented operations, whose numbers are negative, from all anomalies."""
    anomalies = tuple(
        msgspec.structs.replace(one, events=tuple(at for at in one.events if at >= 0))
        for one in verdict.anomalies
    )
    return msgspec.structs.replace(verdict, anomalies=anomalies)


def _elements(initial: Any) -> list[Any]:
    if initial is None:
        return []
    if isinstance(initial, list):
        return initial
    raise HistoryError(
        f"a set or queue cannot start as {value_text(initial)}: expected a list of elements"
    )


# --- queues and sets -----------------------------------------------------------------


def check_queues(
    logged: Logged, timeout_s: float | None = None, initial: Any = None
) -> Verdict:
    """Each enqueued element is dequeued exactly once.

    Operations with different keys belong to different queues. Every queue starts with the elements
    `initial`.
    """
    if not any(_takes(op) for op in logged):
        return _no_evidence("queue", "no dequeue and no drain was answered")
    if not (_elements(initial) or _contains_elements("enqueue", logged)):
        return _no_evidence("queue", "no enqueue succeeded, and every queue was found empty")
    logged = [*_first_operations("enqueue", logged, _elements(initial)), *logged]
    by_key: dict[object, list[ForeignOperation]] = {}
    for op in logged:
        by_key.setdefault(op.key, []).append(op)
    verdicts = [
        _without_first(
            check_queue(Evidence(History((), tuple(one for op in own for one in _queued(op)), ())))
        )
        for own in by_key.values()
    ]
    counts: dict[str, int] = {}
    for verdict in verdicts:
        for name, count in verdict.counts.items():
            counts[name] = counts.get(name, 0) + count
    return Verdict(
        checker="queue",
        valid=merge(verdict.valid for verdict in verdicts),
        anomalies=tuple(anomaly for verdict in verdicts for anomaly in verdict.anomalies),
        counts=dict(counts),
        why="; ".join(dict.fromkeys(verdict.why for verdict in verdicts if verdict.why)),
        kinds=_summed(verdict.kinds for verdict in verdicts),
    )


def _summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(total)


def _contains_elements(adding: str, logged: Logged) -> bool:
    """Return whether an operation with the function `adding` succeeded, or an element was returned.

    If neither is the case, the log is no evidence: the store may have been down for the whole run.
    """
    return any(
        op.outcome == "ok" and (op.f == adding or op.answer not in (None, []))
        for op in logged
    )


def _takes(op: ForeignOperation) -> bool:
    """Return whether the answer of `op` shows what the queue contained."""
    return op.f != "enqueue" and (op.outcome == "ok" or _found_empty(op))


def _found_empty(op: ForeignOperation) -> bool:
    error = (op.error or "").lower()
    return op.outcome == "fail" and any(word in error for word in _EMPTY)


def _queued(op: ForeignOperation) -> Iterator[Operation]:
    """Convert `op` to operations of a recorded history. A `drain` becomes several dequeues."""
    nothing = RangeResult(_HEADER)
    if op.f == "enqueue":
        yield recorded(op, Put(value_text(op.argument)), PutResult(_HEADER), f=ENQUEUE)
    elif op.outcome == "ok":
        taken = op.answer if op.f == "drain" else [] if op.answer is None else [op.answer]
        if not isinstance(taken, list):
            raise HistoryError(
                f"event {op.ended}: a drain returned {taken!r}; expected the elements, as a list"
            )
        for one in taken:
            yield recorded(op, Delete(value_text(one)), DeleteResult(_HEADER, 1), f=DEQUEUE)
        if op.f == "drain" or op.answer is None:  # the queue was empty then
            yield recorded(op, Range("", "\0"), nothing)
    elif op.outcome == "info":
        taking = DEQUEUE if op.f == "drain" else DEQUEUE_ONE
        yield recorded(op, Delete("", "\0"), DeleteResult(_HEADER), f=taking)
    elif _found_empty(op):
        found = msgspec.structs.replace(op, outcome="ok")
        yield recorded(found, Range("", "\0"), nothing)


def check_sets(
    logged: Logged, timeout_s: float | None = None, initial: Any = None
) -> Verdict:
    """No element of a set is lost, stale, duplicated or unexpected.

    Operations with different keys belong to different sets. Every set starts with the elements
    `initial`.
    """
    if not any(op.f == "read" and op.outcome == "ok" for op in logged):
        return _no_evidence("set_full", "no read of a set was answered")
    if not (_elements(initial) or _contains_elements("add", logged)):
        return _no_evidence("set_full", "no add succeeded, and every set was read as empty")
    logged = [*_first_operations("add", logged, _elements(initial)), *logged]
    by_key: dict[Any, list[ForeignOperation]] = {}
    for op in logged:
        by_key.setdefault(op.key, []).append(op)
    verdicts = [
        (key, _without_first(check_set_full(Evidence(_set_history(own)))))
        for key, own in by_key.items()
    ]
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
    return Verdict(
        checker="set_full", valid=valid, anomalies=tuple(anomalies), counts=counts, why=why,
        kinds=_summed(verdict.kinds for _, verdict in verdicts),
    )


def _set_history(logged: Logged) -> History:
    """Convert the log of a set to a history of a key-value store.

    An element becomes a key, and a read becomes a range.
    """
    return History((), tuple(_set_operation(op) for op in logged), ())


def _set_operation(op: ForeignOperation) -> Operation:
    request: Put | Range
    result: PutResult | RangeResult | None = None
    header = Header(revision=1)
    if op.f == "add":
        request = Put(value_text(op.argument))
        result = PutResult(header)
    else:
        request = Range("", "\0")
        if op.outcome == "ok":
            if not isinstance(op.answer, list):
                raise HistoryError(
                    f"event {op.ended}: the read of a set returned {op.answer!r}; expected the "
                    "elements, as a list or a set"
                )
            kvs = tuple(KeyValue(value_text(one)) for one in op.answer)
            result = RangeResult(header, kvs, len(kvs))
    return recorded(op, request, result)
