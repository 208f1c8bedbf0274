"""`set_full`: what was added to a set stays in it.

An element is *known* once its add was acknowledged or some read showed it. Every read
that was invoked later and covers its key must show it. Elements are keys, added by
operations with the function `add`; reads are ranges that must be recent (`add`s of
serializable reads are shown, but nothing is demanded of them).

    lost        known, and missing from all reads that cover it from some time on
    stale       known, missing from a later read, and there again in one after that
    never read  acknowledged, and covered by no later read: then the verdict is undecided
    duplicated  twice in one answer
    unexpected  shown, but never added, or only by adds that certainly failed

Source: Jepsen's checker `set-full`.
"""

from __future__ import annotations

from dataclasses import dataclass

from sortedcontainers import SortedDict

from splitbrain.checkers import wording
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.model.answers import made_revision
from splitbrain.checkers.model.requests import must_be_recent, parts
from splitbrain.checkers.model.sequential_store import text_order
from splitbrain.checkers.verdict import Verdict, not_applicable
from splitbrain.histories.history import History, Operation
from splitbrain.histories.kv import Delete, Put, Range, RangeResult

NAME = "set_full"
ADD = "add"


@dataclass(slots=True)
class _Element:
    """An element from when it is known."""

    key: str
    known_by: Operation
    missing_from: Operation | None = None
    """The first read that lacks it, since one last showed it."""
    shown: bool = False
    """Whether a read invoked after it was known shows it."""


def check_set_full(evidence: Evidence) -> Verdict:
    """Elements added to a set: none lost, stale, duplicated or unexpected.

    Judges histories with operations `add`; to others it does not apply.
    """
    history = evidence.history
    adds = [op for op in history.operations if op.f == ADD]
    if not adds:
        return not_applicable(NAME, "nothing was added to a set")
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
    return Verdict(
        NAME, findings.valid, tuple(findings.anomalies), counts,
        why="; ".join(findings.unknown),
    )


class _Sweep:
    """Invocations and returns in their order; reads are judged at their return, by what was
    known at their invocation."""

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
        """What is known when a read is invoked must be in its answer."""
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
        """The end of what an answer tells of: with a limit, its last key."""
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
                f"{wording.operation(missing)}, asked at {wording.seconds(missing.call)}, lacks "
                f"{element.key}, known since {_since(element)}; "
                f"{wording.operation(op)} at {wording.seconds(op.call)} shows it again",
                element.known_by, missing, op,
            )

    def _show(self, op: Operation, request: Range, result: RangeResult) -> None:
        """What a read shows is known from its return on, if somebody can have added it."""
        keys = [kv.key for kv in result.kvs]
        if len(set(keys)) < len(keys):
            twice = next(key for place, key in enumerate(keys) if key in keys[:place])
            self._findings.add(
                "duplicated", f"{wording.answered(op)} with {twice} more than once", op
            )
        for key in keys:
            attempts = self._attempts.get(key, [])
            if all(attempt.outcome == "fail" for attempt in attempts):
                self._blame_unexpected(key, op, attempts)
            else:
                self._know(key, op)

    def _blame_unexpected(self, key: str, op: Operation, attempts: list[Operation]) -> None:
        if key in self._unexpected:
            return
        self._unexpected.add(key)
        because = f"{wording.answered(op)} with {key}, which nobody added"
        if attempts:
            error = attempts[0].error or "refused"
            because = (
                f"{wording.answered(op)} with {key}; {wording.operation(attempts[0])} "
                f"had failed: {error}"
            )
        self._findings.add("unexpected", because, op, *attempts[:1])

    def finish(self) -> dict[str, int]:
        """Judge what the last reads left open, and count."""
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
                # What a read made known has been read.
                never_read += 1
        if never_read:
            self._findings.unknown.append(f"{never_read} known elements are in no later read")
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
