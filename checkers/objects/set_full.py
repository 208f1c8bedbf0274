"""`set_full`: an element that is added to a set stays in it.

Elements are keys. Operations with the function `add` add them, and linearizable ranges read them.
An element is *known* from the time when its add was acknowledged or a read returned it. Each read
that is invoked later and whose interval contains the key must return the element. (A serializable
read also makes elements known, but need not return all known elements.)

    lost        From some read on, all reads whose interval contains a known element lack it.
    stale       A known element is missing from a read, and a later read shows it.
    never read  No later read covers an acknowledged element. This is not an anomaly, but the
                verdict is unknown.
    duplicated  An element appears twice in one answer.
    unexpected  An element is shown, but it was never added, or only by adds that failed.

Cost: n log n, and linear in the elements that the reads show.

Source: Jepsen's checker `set-full`.
"""

from __future__ import annotations

from dataclasses import dataclass

from sortedcontainers import SortedDict

from splitbrain.checkers import wording
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.model.answer_facts import made_revision
from splitbrain.checkers.model.request_parts import must_be_recent, parts
from splitbrain.checkers.model.sequential_store import text_order
from splitbrain.checkers.verdict import Verdict, not_applicable, with_evidence
from splitbrain.histories.history import History, Operation
from splitbrain.histories.kv import Delete, Put, Range, RangeResult

NAME = "set_full"
ADD = "add"


@dataclass(slots=True)
class _Element:
    """An element of the set that is known: its add was acknowledged, or a read returned it."""

    key: str
    known_by: Operation
    missing_from: Operation | None = None
    """The first read without the element since the last read that showed it."""
    shown: bool = False
    """True if a read that was invoked after the element became known shows the element."""


def check_set_full(evidence: Evidence) -> Verdict:
    """Added elements stay in the set: none is lost, stale, duplicated or unexpected.

    The checker applies only to histories that contain operations `add` and no deletes.
    """
    history = evidence.history
    adds = [op for op in history.operations if op.f == ADD]
    if not adds:
        return not_applicable(NAME, "the history has no operation add")
    deletes = [op for op in history.operations if _deletes(op)]
    if deletes:
        return not_applicable(
            NAME, f"event {deletes[0].invoked} deletes; the elements of this set stay"
        )
    findings = Findings()
    sweep = _Sweep(adds, findings)
    sweep.run(history)
    counts = sweep.finish()
    counts["anomalies"] = findings.count
    verdict = Verdict(
        NAME, findings.valid, tuple(findings.anomalies), counts,
        why="; ".join(findings.unknown), kinds=findings.by_kind,
    )
    return with_evidence(verdict, counts["reads"], "no read of the set succeeded")


class _Sweep:
    """Judges all reads of sets in one sweep over the events of a history.

    A read must show the elements that were known at its invocation. When the read returns, the
    elements in its answer become known.
    """

    def __init__(self, adds: list[Operation], findings: Findings) -> None:
        self._findings = findings
        self._attempts: dict[str, list[Operation]] = {}
        for op in adds:
            for part in parts(op.request):
                if isinstance(part, Put):
                    self._attempts.setdefault(part.key, []).append(op)
        self._known: SortedDict = SortedDict()
        self._unexpected: set[str] = set()
        self._acknowledged = 0
        self._reads = 0
        self._recovered = 0

    def run(self, history: History) -> None:
        """Judge all reads of the history; anomalies are added to the findings."""
        by_event: dict[int, Operation] = {}
        for op in history.operations:
            if op.outcome == "ok" and op.returned is not None:
                by_event[op.invoked] = by_event[op.returned] = op
        for index in sorted(by_event):
            op = by_event[index]
            if isinstance(op.request, Range) and isinstance(op.result, RangeResult):
                if index == op.invoked:
                    self._demand(op, op.request, op.result)
                else:
                    self._show(op, op.request, op.result)
            elif index == op.returned and op.f == ADD and op.result and made_revision(op.result):
                self._acknowledged += 1
                for part in parts(op.request):
                    if isinstance(part, Put):
                        self._know(part.key, op)

    def _know(self, key: str, op: Operation) -> None:
        name = text_order(key)
        if name not in self._known:
            self._known[name] = _Element(key, op)
            if all(attempt.outcome == "info" for attempt in self._attempts.get(key, ())):
                self._recovered += 1

    def _demand(self, op: Operation, request: Range, result: RangeResult) -> None:
        """Compare the answer of a read with the elements that are known at its invocation."""
        if request.count_only or request.revision or not must_be_recent(request):
            return
        self._reads += 1
        low = text_order(request.key)
        high, inclusive = self._covered_up_to(request, result)
        shown = {kv.key for kv in result.kvs}
        for name in self._known.irange(low, high, (True, inclusive)):
            element: _Element = self._known[name]
            if element.key in shown:
                self._present(element, op)
            elif element.missing_from is None:
                element.missing_from = op

    @staticmethod
    def _covered_up_to(request: Range, result: RangeResult) -> tuple[bytes | None, bool]:
        """Return up to which key an answer covers the set, and whether it covers this key, too.

        If a limit cut the answer off, the key is the last one in the answer. The key is None if the
        read has no upper bound.
        """
        if result.more and result.kvs:
            return text_order(result.kvs[-1].key), True
        if not request.range_end:
            return text_order(request.key), True
        return (None if request.range_end == "\0" else text_order(request.range_end)), False

    def _present(self, element: _Element, op: Operation) -> None:
        element.shown = True
        missing, element.missing_from = element.missing_from, None
        if missing is not None:
            self._findings.add(
                "stale",
                f"{wording.operation(missing)}, invoked at {wording.seconds(missing.call)}, lacks "
                f"{element.key}, known since {_since(element)}; "
                f"{wording.operation(op)} at {wording.seconds(op.call)} shows it again",
                element.known_by, missing, op,
            )

    def _show(self, op: Operation, request: Range, result: RangeResult) -> None:
        """Mark the elements in the answer of `op` as known, and report those that were never added.

        An element that appears twice in the answer is reported, too.
        """
        keys = [kv.key for kv in result.kvs]
        if len(set(keys)) < len(keys):
            twice = next(key for place, key in enumerate(keys) if key in keys[:place])
            self._findings.add(
                "duplicated",
                f"{wording.operation(op)}, answered at {wording.seconds(op.ret or 0)}, shows "
                f"{twice} more than once", op,
            )
        for key in keys:
            attempts = self._attempts.get(key, [])
            if all(attempt.outcome == "fail" for attempt in attempts):
                self._add_unexpected(key, op, attempts)
            else:
                self._know(key, op)

    def _add_unexpected(self, key: str, op: Operation, attempts: list[Operation]) -> None:
        if key in self._unexpected:
            return
        self._unexpected.add(key)
        shows = (
            f"{wording.operation(op)}, answered at {wording.seconds(op.ret or 0)}, shows {key}"
        )
        because = f"{shows}, which no operation added"
        if attempts:
            error = attempts[0].error or "refused"
            because = (
                f"{shows}; {wording.operation(attempts[0])} "
                f"had failed: {error}"
            )
        self._findings.add("unexpected", because, op, *attempts[:1])

    def finish(self) -> dict[str, int]:
        """Report the elements that the last reads lack, and return the counts of the verdict."""
        never_read = 0
        for element in self._known.values():
            missing = element.missing_from
            if missing is not None:
                self._findings.add(
                    "lost",
                    f"{element.key}, known since {_since(element)}, is missing from "
                    f"{wording.operation(missing)} at {wording.seconds(missing.call)} and from "
                    "all later reads",
                    element.known_by, missing,
                )
            elif not element.shown and element.known_by.f == ADD:
                # An element that a read made known has been read.
                never_read += 1
        if never_read:
            self._findings.unknown.append(
                f"never read: no later read covers {never_read} acknowledged elements"
            )
        return {
            "attempts": sum(len(attempts) for attempts in self._attempts.values()),
            "acknowledged": self._acknowledged,
            "recovered": self._recovered,
            "reads": self._reads,
            "never read": never_read,
        }


def _since(element: _Element) -> str:
    op = element.known_by
    how = "acknowledged" if op.f == ADD else "shown"
    return f"{wording.seconds(op.ret or 0)} ({how} by {wording.node(op)})"


def _deletes(op: Operation) -> bool:
    return any(isinstance(part, Delete) for part in parts(op.request))
