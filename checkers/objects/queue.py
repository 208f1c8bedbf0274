"""`queue`: each element that is put into a queue comes out of it once.

An element of a queue is a key. An operation `enqueue` creates the key, and an operation `dequeue`
deletes it. Ranges read the queue, as a consumer does to find work. The order in which elements are
taken is not judged.

    lost        An acknowledged element is missing from a later read, no operation can have taken
                it, and it does not come out later.
    stale       An element was taken, and a later read shows it. Or an element that no operation
                had taken is missing from a read, and comes out or is shown later.
    duplicated  An element was put in n times, and more than n acknowledged operations took it.
    unexpected  An element was taken or shown before any operation had put it in. An enqueue that
                failed does not count.
    never read  An acknowledged element was not taken, and no later read covers it. This is not an
                anomaly, but the verdict is unknown.

A `dequeue` without an answer may have taken the element in its request. In the histories of other
tools, the request names no element, so the operation may have taken any one element. For each such
operation, the checker therefore accepts one missing element. A delete of an interval (a `drain` in
the histories of other tools) may have taken all elements. If such a delete has no answer, the
checker accepts every missing element after the delete.

Cost: n log n, and linear in the elements that the reads show.

Source: Jepsen's checker `total-queue`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sortedcontainers import SortedDict

from splitbrain.checkers import wording
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.model.answer_facts import made_revision
from splitbrain.checkers.model.request_parts import must_be_recent, parts
from splitbrain.checkers.model.sequential_store import text_order
from splitbrain.checkers.verdict import Verdict, not_applicable, with_evidence
from splitbrain.histories.history import History, Operation
from splitbrain.histories.kv import Delete, DeleteResult, Put, Range, RangeResult

NAME = "queue"
ENQUEUE = "enqueue"
DEQUEUE = "dequeue"
DEQUEUE_ONE = "dequeue one"
"""The function of a `dequeue` without an answer in the history of another tool. Such a dequeue may
have taken any element."""


@dataclass(slots=True)
class _Element:
    key: str
    entered: list[Operation] = field(default_factory=list)
    """The operations that put the element in, or may have: acknowledged, or without an answer."""
    refused: list[Operation] = field(default_factory=list)
    """The operations that failed to put the element in."""
    acknowledged: Operation | None = None
    taking: list[Operation] = field(default_factory=list)
    """The operations invoked so far that may have taken the element."""
    taken: list[Operation] = field(default_factory=list)
    """The acknowledged operations that took the element."""
    missing_from: Operation | None = None
    """The first read without the element since the element was last seen, although no operation
    can have taken it."""
    covered: bool = False
    """True if the interval of a read that was invoked after the acknowledgement contains the
    element."""


def check_queue(evidence: Evidence) -> Verdict:
    """Each element of a queue comes out once: none is lost, stale, duplicated or unexpected.

    The checker applies only to histories that contain operations `enqueue`.
    """
    history = evidence.history
    if not any(op.f == ENQUEUE for op in history.operations):
        return not_applicable(NAME, "the history has no operation enqueue")
    findings = Findings()
    sweep = _Sweep(history, findings)
    sweep.run()
    counts = sweep.finish()
    counts["anomalies"] = findings.count
    verdict = Verdict(
        NAME, findings.valid, tuple(findings.anomalies), counts,
        why="; ".join(findings.unknown), kinds=findings.by_kind,
    )
    found = counts["reads"] or counts["taken out"]
    return with_evidence(verdict, found, "no element was taken out, and no read succeeded")


class _Sweep:
    """Judges all reads of queues in one sweep over the events of a history.

    A read is judged when it returns. It is compared with the elements that were acknowledged before
    its invocation, and with the elements that may have been taken before its return.
    """

    def __init__(self, history: History, findings: Findings) -> None:
        self._findings = findings
        self._elements: dict[str, _Element] = {}
        self._inside: SortedDict = SortedDict()
        """The acknowledged elements that were not certainly taken, in the order of keys."""
        self._at_call: dict[int, dict[str, _Element]] = {}
        self._unnamed = 0
        """The number of elements that may have been taken by operations that name no element."""
        self._drained = False
        """True if an operation may have taken all elements at any time."""
        self._reads = self._dequeued = 0
        self._operations = history.operations

    def run(self) -> None:
        """Judge all reads and dequeues of the history, in the order of their events."""
        # Several operations may have the same event: a drain is recorded as several dequeues.
        by_event: dict[int, list[Operation]] = {}
        for op in self._operations:
            by_event.setdefault(op.invoked, []).append(op)
            if op.outcome == "ok" and op.returned is not None:
                by_event.setdefault(op.returned, []).append(op)
        for index in sorted(by_event):
            for op in by_event[index]:
                if index == op.invoked:
                    self._invoked(op)
                else:
                    self._returned(op)

    def _invoked(self, op: Operation) -> None:
        if op.f == ENQUEUE:
            for key in _keys_put(op):
                element = self._elements.setdefault(key, _Element(key))
                (element.refused if op.outcome == "fail" else element.entered).append(op)
        elif op.f == DEQUEUE_ONE:
            self._unnamed += 1
        elif op.f == DEQUEUE and _may_take(op):
            for part in parts(op.request):
                if isinstance(part, Delete) and part.range_end:
                    self._drained = self._drained or op.outcome == "info"
                elif isinstance(part, Delete):
                    element = self._elements.setdefault(part.key, _Element(part.key))
                    element.taking.append(op)
        elif _shows_all(op) is not None:
            self._at_call[op.invoked] = dict(self._covered(op.request))

    def _covered(self, request: object) -> Iterator[tuple[str, _Element]]:
        assert isinstance(request, Range)
        low = text_order(request.key)
        high = text_order(request.range_end or request.key)
        endless = request.range_end == "\0"
        inclusive = not request.range_end
        for name in self._inside.irange(low, None if endless else high, (True, inclusive)):
            element: _Element = self._inside[name]
            yield element.key, element

    def _returned(self, op: Operation) -> None:
        done = op.result is not None and made_revision(op.result)
        if op.f == ENQUEUE and done:
            for key in _keys_put(op):
                element = self._elements[key]
                element.acknowledged = element.acknowledged or op
                if len(element.taken) < len(element.entered):
                    self._inside[text_order(key)] = element
        elif op.f == DEQUEUE and done:
            for part in parts(op.request):
                if isinstance(part, Delete) and not part.range_end:
                    self._took(part.key, op)
            if isinstance(op.request, Delete) and isinstance(op.result, DeleteResult):
                self._took_interval(op, op.request, op.result)
        shown = _shows_all(op)
        if shown is not None:
            self._read(op, shown)

    def _took(self, key: str, op: Operation) -> None:
        element = self._elements[key]
        self._dequeued += 1
        self._seen(element, op)
        element.taken.append(op)
        if self._put_in_before(element, op) and len(element.taken) > len(element.entered):
            first = element.taken[0]
            self._findings.add(
                "duplicated",
                f"{key} was taken by {wording.operation(first)}, answered at "
                f"{wording.seconds(first.ret or 0)}, and by {wording.operation(op)}, answered at "
                f"{wording.seconds(op.ret or 0)}; it was put in "
                f"{len(element.entered)} time{'s' * (len(element.entered) != 1)}",
                first, op,
            )
        if len(element.taken) >= len(element.entered):
            self._inside.pop(text_order(key), None)

    def _took_interval(self, op: Operation, request: Delete, answer: DeleteResult) -> None:
        if not request.range_end:
            return
        for kv in answer.prev_kvs:
            self._elements.setdefault(kv.key, _Element(kv.key)).taking.append(op)
            self._took(kv.key, op)
        self._unnamed += answer.deleted - len(answer.prev_kvs)

    def _put_in_before(self, element: _Element, op: Operation) -> bool:
        """Return whether an operation can have put `element` in before `op` returned it.

        If no operation can have done so, the function also reports an anomaly.
        """
        if element.entered:
            return True
        because = f"{wording.operation(op)}, answered at {wording.seconds(op.ret or 0)}, "
        because += f"returned {element.key}, which no operation had put in"
        if element.refused:
            error = element.refused[0].error or "refused"
            because += f"; {wording.operation(element.refused[0])} had failed: {error}"
        self._findings.add("unexpected", because, op, *element.refused[:1])
        return False

    def _read(self, op: Operation, shown: dict[str, None]) -> None:
        self._reads += 1
        for key, element in self._at_call.pop(op.invoked, {}).items():
            element.covered = True
            if key not in shown and not element.taking and element.missing_from is None:
                element.missing_from = op
        for key in shown:
            element = self._elements.setdefault(key, _Element(key))
            if not self._put_in_before(element, op):
                continue
            before = [taken for taken in element.taken if (taken.returned or 0) < op.invoked]
            if len(before) >= len(element.entered):
                self._findings.add(
                    "stale",
                    f"{wording.operation(op)}, invoked at {wording.seconds(op.call)}, shows {key}, "
                    f"which {wording.operation(before[0])} had taken at "
                    f"{wording.seconds(before[0].ret or 0)}",
                    before[0], op,
                )
            self._seen(element, op)

    def _seen(self, element: _Element, op: Operation) -> None:
        missing, element.missing_from = element.missing_from, None
        if missing is None or (missing.returned or 0) > op.invoked:
            return
        self._findings.add(
            "stale",
            f"{wording.operation(missing)}, invoked at {wording.seconds(missing.call)}, lacks "
            f"{element.key}, put in by {_put_in(element)} and not taken; "
            f"{wording.operation(op)} at {wording.seconds(op.call)} returns it",
            *_proof(element), missing, op,
        )

    def finish(self) -> dict[str, int]:
        """Report the elements that the last reads lack, and return the counts of the verdict."""
        missing = [one for one in self._elements.values() if one.missing_from is not None]
        for element in () if self._drained else missing[self._unnamed :]:
            read = element.missing_from
            assert read is not None
            self._findings.add(
                "lost",
                f"{element.key}, put in by {_put_in(element)}, is missing from "
                f"{wording.operation(read)} at {wording.seconds(read.call)}; no operation can have "
                "taken it, and it does not come out later",
                *_proof(element), read,
            )
        acknowledged = [one for one in self._elements.values() if one.acknowledged is not None]
        never_read = [one for one in acknowledged if not (one.covered or one.taking)]
        if never_read:
            first = never_read[0]
            self._findings.unknown.append(
                f"never read: {len(never_read)} acknowledged elements were neither taken nor "
                f"covered by a later read; the first is {first.key}, put in by {_put_in(first)}"
            )
        return {
            "attempts": sum(len(one.entered) + len(one.refused) for one in self._elements.values()),
            "acknowledged": len(acknowledged),
            "taken out": self._dequeued,
            "recovered": sum(
                one.acknowledged is None and bool(one.taken) for one in self._elements.values()
            ),
            "left": len(self._inside),
            "reads": self._reads,
            "never read": len(never_read),
        }


def _keys_put(op: Operation) -> list[str]:
    return [part.key for part in parts(op.request) if isinstance(part, Put)]


def _may_take(op: Operation) -> bool:
    if op.outcome == "ok":
        return op.result is not None and made_revision(op.result)
    return op.outcome == "info"


def _shows_all(op: Operation) -> dict[str, None] | None:
    """Return the keys in the answer of `op`, if `op` is a linearizable range that shows all keys.

    Returns None if `op` is another operation, or if a limit cut its answer off.
    """
    request, answer = op.request, op.result
    if op.outcome != "ok" or not isinstance(request, Range) or not isinstance(answer, RangeResult):
        return None
    if request.count_only or request.revision or answer.more or not must_be_recent(request):
        return None
    return {kv.key: None for kv in answer.kvs}


def _put_in(element: _Element) -> str:
    op = element.acknowledged
    if op is None:
        return wording.operation(element.entered[0])
    return f"{wording.operation(op)} at {wording.seconds(op.ret or 0)}"


def _proof(element: _Element) -> list[Operation]:
    return [element.acknowledged] if element.acknowledged is not None else []
