"""Judges automatic compaction, for the checker `limits`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from splitbrain.checkers import wording
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.limits.settings import Limits
from splitbrain.checkers.model.answer_facts import made_revision
from splitbrain.checkers.model.request_parts import must_be_recent
from splitbrain.histories.fault_window import disturbed
from splitbrain.histories.history import History
from splitbrain.histories.kv import Compact, Range, writes
from splitbrain.histories.operation import Operation
from splitbrain.histories.service_operation import ServiceOperation

COMPACTED = "required revision has been compacted"
S = 1_000_000_000
LATE_NS = 5 * S
"""The time that a compaction may take after it is due."""
EARLY_SHARE = 0.8
"""The store samples its revision at intervals, so it may keep only this share of the period."""
CLOCKS = ("clock", "drift")


class Revisions:
    """The lowest and the highest revision that the store can have had at a given time.

    Both are computed from the answers of a history.
    """

    def __init__(self, history: History) -> None:
        everything: list[Operation | ServiceOperation] = [*history.operations, *history.services]
        answered = [
            (op.call, op.ret or op.call, op.result.header.revision)
            for op in everything if op.result is not None
        ]
        self._calls, self._seen = _highest((call, rev) for call, _, rev in answered)
        self._returns, self._shown = _highest((ret, rev) for _, ret, rev in answered)
        self._unknown = sorted(
            op.call for op in history.operations if op.outcome == "info" and writes(op.request)
        )
        self._later_calls, self._before = _lowest(
            (op.call, op.result.header.revision - made_revision(op.result))
            for op in history.operations
            if op.result is not None and op.result.header.revision and must_be_recent(op.request)
        )

    def at_most(self, time: int) -> int:
        """Return the highest revision that the store can have had at `time`, in ns.

        A linearizable request that was invoked after `time` shows an upper bound: the revision that
        it found. A read found the revision in its answer, and a write the one before it.
        """
        place = bisect_right(self._calls, time)
        highest = (self._seen[place - 1] if place else 1) + bisect_right(self._unknown, time)
        later = bisect_right(self._later_calls, time)
        return min(highest, self._before[later]) if later < len(self._before) else highest

    def at_least(self, time: int) -> int:
        """Return a revision that the store had certainly reached by `time`, in ns."""
        place = bisect_right(self._returns, time)
        return self._shown[place - 1] if place else 1


def _highest(pairs: Iterator[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """Return the times of `pairs` in order, and for each time the highest revision up to it.

    Each pair is (time, revision).
    """
    ordered = sorted(pairs)
    return [time for time, _ in ordered], list(accumulate((rev for _, rev in ordered), max))


def _lowest(pairs: Iterator[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """Return the times of `pairs` in order, and for each time the lowest revision from it on.

    Each pair is (time, revision).
    """
    ordered = sorted(pairs)
    lowest = list(accumulate((revision for _, revision in reversed(ordered)), min))
    return [time for time, _ in ordered], lowest[::-1]


def check_retention(limits: Limits, history: History, found: Findings) -> int:
    """Check that automatic compaction keeps and removes the right revisions.

    Judges the reads at past revisions, and returns their number.
    """
    if not limits.keep_revisions and not limits.keep_ns:
        return 0
    revisions = Revisions(history)
    compactions = [op for op in history.operations if isinstance(op.request, Compact)]
    judged = 0
    for op in history.operations:
        if not isinstance(op.request, Range) or op.request.revision <= 0 or op.ret is None:
            continue
        judged += 1
        if COMPACTED in (op.error or ""):
            _check_refusal(limits, history, revisions, op, compactions, found)
        elif op.outcome == "ok" and not op.request.serializable:
            _check_answer(limits, history, revisions, op, found)
    return judged


def _check_refusal(
    limits: Limits, history: History, revisions: Revisions, op: Operation,
    compactions: Sequence[Operation], found: Findings,
) -> None:
    assert isinstance(op.request, Range)
    assert op.ret is not None
    wanted = op.request.revision
    if any(
        one.outcome != "fail" and one.call <= op.ret and _target(one) > wanted
        for one in compactions
    ):
        return
    if limits.keep_revisions:
        highest = revisions.at_most(op.ret)
        if highest <= wanted + limits.keep_revisions:
            found.add(
                "compacted too far",
                f"{wording.operation(op)} was refused as compacted, but the store had at most "
                f"revision {highest} and keeps {limits.keep_revisions} revisions", op,
            )
        return
    if any(fault.f in CLOCKS for fault in history.faults):
        return
    before = op.ret - round(EARLY_SHARE * limits.keep_ns)
    highest = revisions.at_most(before)
    if highest <= wanted:
        found.add(
            "compacted too far",
            f"{wording.operation(op)} was refused as compacted, but at {wording.seconds(before)} "
            f"the store had at most revision {highest}, and it keeps the revisions of "
            f"{wording.seconds(limits.keep_ns)}", op,
        )


def _check_answer(
    limits: Limits, history: History, revisions: Revisions, op: Operation, found: Findings
) -> None:
    """Report a read of a revision that should have been compacted long before."""
    assert isinstance(op.request, Range)
    wanted = op.request.revision
    since = op.call - 2 * limits.interval_ns - LATE_NS
    if since < 0 or disturbed(history.faults, since, op.call):
        return
    lowest = revisions.at_least(since)
    if lowest > wanted + limits.keep_revisions + 1:
        found.add(
            "not compacted",
            f"{wording.operation(op)} succeeded, although the store had at least revision {lowest} "
            f"by {wording.seconds(since)} and should have compacted the read revision since", op,
        )


def _target(op: Operation) -> int:
    assert isinstance(op.request, Compact)
    return op.request.revision
