"""`queue`: what was put in comes out, once.

An element of a queue is a key: put in by an operation `enqueue` that creates the key,
taken out by a `dequeue` that deletes it, and may be looked at by ranges, as a consumer
does that looks for what is to be done. Keys may lie in any order; which is taken first
is not judged.

    lost        acknowledged, and missing from a later read though nobody can have taken it,
                nor does it come out later
    stale       taken out, and there again for a read that was asked later; or missing from
                a read though nobody had taken it, and there again later
    duplicated  taken out by more acknowledged operations than put it in
    unexpected  taken out or shown, but put in by nobody by then, or only by operations that
                certainly failed
    never read  acknowledged, neither taken out nor covered by a later read: then the verdict
                is undecided

A `dequeue` without an answer may have taken what it names. In others' logs it names nothing
and may have taken any one element, so that as many missing elements as there are such
operations are not blamed; after an interval that was deleted without an answer (in others'
logs a `drain`), none are.

Source: Jepsen's checker `total-queue`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sortedcontainers import SortedDict

from splitbrain.checkers import wording
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.model.answers import made_revision
from splitbrain.checkers.model.requests import must_be_recent, parts
from splitbrain.checkers.model.sequential_store import text_order
from splitbrain.checkers.verdict import Verdict, not_applicable
from splitbrain.histories.history import History, Operation
from splitbrain.histories.kv import Delete, DeleteResult, Put, Range, RangeResult

NAME = "queue"
ENQUEUE = "enqueue"
DEQUEUE = "dequeue"
DEQUEUE_ONE = "dequeue one"
"""Of an interval of keys, no matter which: of others' logs, where it was not answered."""


@dataclass(slots=True)
class _Element:
    key: str
    entered: list[Operation] = field(default_factory=list)
    """Who may have put it in: acknowledged, or without an answer."""
    refused: list[Operation] = field(default_factory=list)
    acknowledged: Operation | None = None
    taking: list[Operation] = field(default_factory=list)
    """Who may have taken it, once they were invoked."""
    taken: list[Operation] = field(default_factory=list)
    missing_from: Operation | None = None
    """The first read that lacks it without a reason, since it was last seen."""
    covered: bool = False
    """Whether a read that was asked after it was acknowledged covers it."""


def check_queue(evidence: Evidence) -> Verdict:
    """Elements of a queue come out once: none lost, stale, duplicated or unexpected.

    Judges histories with operations `enqueue`; to others it does not apply.
    """
    history = evidence.history
    if not any(op.f == ENQUEUE for op in history.operations):
        return not_applicable(NAME, "nothing was put into a queue")
    findings = Findings()
    sweep = _Sweep(history, findings)
    sweep.run()
    counts = sweep.finish()
    counts["anomalies"] = findings.count
    return Verdict(
        NAME, findings.valid, tuple(findings.anomalies), counts,
        why="; ".join(findings.unknown),
    )


class _Sweep:
    """Invocations and returns in their order; a read is judged at its return, by what was
    acknowledged at its invocation and may have been taken by its return."""

    def __init__(self, history: History, findings: Findings) -> None:
        self._findings = findings
        self._elements: dict[str, _Element] = {}
        self._inside: SortedDict = SortedDict()
        """The elements that were acknowledged and not surely taken, by their keys' order."""
        self._at_call: dict[int, dict[str, _Element]] = {}
        self._unnamed = 0
        """How many elements may have been taken by who did not say which."""
        self._drained = False
        """Whether somebody may have taken all at any time."""
        self._reads = self._dequeued = 0
        self._operations = history.operations

    def run(self) -> None:
        # One event may be that of several operations: a drain is one of many.
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

    def _covered(self, asked: object) -> Iterator[tuple[str, _Element]]:
        assert isinstance(asked, Range)
        low = text_order(asked.key)
        high = text_order(asked.range_end or asked.key)
        endless = asked.range_end == "\0"
        inclusive = not asked.range_end
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
        if self._expected(element, op) and len(element.taken) > len(element.entered):
            first = element.taken[0]
            self._findings.add(
                "duplicated",
                f"{key} was taken out by {wording.operation(first)}, answered at "
                f"{wording.seconds(first.ret or 0)}, and by {wording.operation(op)}, answered at "
                f"{wording.seconds(op.ret or 0)}; it was put in "
                f"{len(element.entered)} time{'s' * (len(element.entered) != 1)}",
                first, op,
            )
        if len(element.taken) >= len(element.entered):
            self._inside.pop(text_order(key), None)

    def _took_interval(self, op: Operation, asked: Delete, answer: DeleteResult) -> None:
        if not asked.range_end:
            return
        for kv in answer.prev_kvs:
            self._elements.setdefault(kv.key, _Element(kv.key)).taking.append(op)
            self._took(kv.key, op)
        self._unnamed += answer.deleted - len(answer.prev_kvs)

    def _expected(self, element: _Element, op: Operation) -> bool:
        """Whether somebody can have put it in before `op` was answered."""
        if element.entered:
            return True
        because = f"{wording.operation(op)}, answered at {wording.seconds(op.ret or 0)}, "
        because += f"found {element.key}, which nobody had put in"
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
            if not self._expected(element, op):
                continue
            before = [taken for taken in element.taken if (taken.returned or 0) < op.invoked]
            if len(before) >= len(element.entered):
                self._findings.add(
                    "stale",
                    f"{wording.operation(op)}, asked at {wording.seconds(op.call)}, shows {key}, "
                    f"which {wording.operation(before[0])} had taken out by "
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
            f"{wording.operation(missing)}, asked at {wording.seconds(missing.call)}, lacks "
            f"{element.key}, put in by {_since(element)} and taken by nobody; "
            f"{wording.operation(op)} at {wording.seconds(op.call)} finds it",
            *_proof(element), missing, op,
        )

    def finish(self) -> dict[str, int]:
        """Judge what is still missing, and count."""
        missing = [one for one in self._elements.values() if one.missing_from is not None]
        for element in () if self._drained else missing[self._unnamed :]:
            read = element.missing_from
            assert read is not None
            self._findings.add(
                "lost",
                f"{element.key}, put in by {_since(element)}, is missing from "
                f"{wording.operation(read)} at {wording.seconds(read.call)}, was taken by nobody "
                "and does not come out later",
                *_proof(element), read,
            )
        acknowledged = [one for one in self._elements.values() if one.acknowledged is not None]
        never_read = [one for one in acknowledged if not (one.covered or one.taking)]
        if never_read:
            first = never_read[0]
            self._findings.unknown.append(
                f"never read: {len(never_read)} acknowledged elements were neither taken out nor "
                f"covered by a later read, the first {first.key}, put in by {_since(first)}"
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
    """The keys that an answered range shows, if it shows all that there are."""
    asked, answer = op.request, op.result
    if op.outcome != "ok" or not isinstance(asked, Range) or not isinstance(answer, RangeResult):
        return None
    if asked.count_only or asked.revision or answer.more or not must_be_recent(asked):
        return None
    return {kv.key: None for kv in answer.kvs}


def _since(element: _Element) -> str:
    op = element.acknowledged
    if op is None:
        return wording.operation(element.entered[0])
    return f"{wording.operation(op)} by {wording.seconds(op.ret or 0)}"


def _proof(element: _Element) -> list[Operation]:
    return [element.acknowledged] if element.acknowledged is not None else []
