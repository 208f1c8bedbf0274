"""Checks compactions, reads of past revisions, and the refusals of both.

A compaction to the target revision C makes no revision. When it takes effect, the store is at a
revision between L and R:

- R is the revision in the header of the compaction's answer. etcd reads R after the compaction has
  taken effect. Other writes may take effect before that, because a physical compaction first
  removes the old versions.
- L is at least C. If a read of a revision below C was answered, L is at least the revision in the
  header of its answer.

After the compaction, the store refuses reads of revisions below C, and compactions to C or below.
This gives four rules:

1. Compactions take effect in the order of their targets. Let c have a lower target than d. Then d
   had not returned when c was invoked. Nor had any answer by then shown a revision above the R of
   d.
2. An answered read of revision r takes effect before each compaction to C > r. So the revision in
   the header of the read's answer is at most the R of the compaction. If the two are equal and the
   read is linearizable, the compaction had not returned when the read was invoked. (A serializable
   read may see an earlier state of its member.) The rule is also true of an uncertain transaction
   that reads r: it has not made a revision above the R of the compaction.
3. A request that was refused because r is compacted takes effect after some compaction to C > r.
   So the request has seen the L of that compaction. The refused request counts as an operation that
   saw this revision (`mvcc/revision_order.py`). If no such compaction was invoked, the refusal is
   wrong. After the refusal returned, the store must also refuse reads of r or lower, and
   compactions to r + 1 or lower.
4. If a linearizable request was refused because r is a future revision, no operation that saw r
   had returned when the request was invoked.

If a transaction was refused, it is unknown which of its branches would have run. For rules 3 and
4, r may therefore be a revision in either branch.

etcd can also compact by itself (`--auto-compaction-*`). Such compactions are not in the history,
but the states of the members show them. If there are any, or if no state is known, any existing
revision may have been compacted. In rule 3, the L is then not known. Instead, a refused compaction
saw at least its own target, and a refused read of r saw at least r + 1.

Source: etcd 3.5, server/mvcc/kvstore.go (checkCompaction, updateCompactRev), kvstore_txn.go
(rangeKeys) and server/etcdserver/v3_server.go (Compact). Cost: n log n.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from splitbrain.checkers import wording
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.model.answer_facts import revision_of
from splitbrain.checkers.model.request_parts import ranges, reaches_the_present, reads_made
from splitbrain.histories.history import Operation
from splitbrain.histories.kv import Compact
from splitbrain.histories.member_state import MemberState

# It is sufficient to check pairs of operations. Consider a cycle of operations with one revision,
# in which rule 1, rule 2 or real time puts each operation before the next one. Such a cycle always
# contains two neighbours that violate a rule. The reason: of two compactions, the one that is
# first by real time has the lower C. An operation that precedes the other compaction therefore
# also precedes this one, or it violates rule 2.

COMPACTED = "required revision has been compacted"
FUTURE = "required revision is a future revision"


def past_revisions(op: Operation) -> Iterator[int]:
    """Yield the past revisions that `op` reads.

    If `op` is a transaction without an answer, the reads of both branches are included.
    """
    reads = ranges(op.request) if op.result is None else reads_made(op.request, op.result)
    for one in reads:
        if one.revision > 0:
            yield one.revision


class Compactions:
    """The compactions of a history, and the operations that were refused because of a revision.

    `done` contains the acknowledged compactions, by their target revision.
    """

    def __init__(self, operations: Sequence[Operation], members: Sequence[MemberState]) -> None:
        special = [op for op in operations if type(op.request) is Compact or op.outcome == "fail"]
        compactions = [op for op in special if type(op.request) is Compact]
        self.done = sorted((op for op in compactions if op.outcome == "ok"), key=_target)
        self._by_revision = sorted(self.done, key=revision_of)
        self._revisions = [revision_of(op) for op in self._by_revision]
        self._reached = _highest_so_far(self._by_revision, _target)
        """For each of `_by_revision`, the compaction up to there with the highest target."""
        self._possible = [op for op in compactions if op.outcome != "fail"]
        self._refused = [op for op in special if op.outcome == "fail" and _refused(op)]
        self._readers: list[Operation] = []
        self._returns: list[int] = []
        self._shown: list[int] = []
        """For each of `_returns`, the highest revision that was shown up to then."""
        if compactions or self._refused:
            answered = [op for op in operations if op.result is not None]
            self._readers = [op for op in answered if op.outcome == "ok" and _reads_past(op)]
            by_return = sorted(answered, key=_returned)
            self._returns = [_returned(op) for op in by_return]
            self._shown = list(accumulate(map(revision_of, by_return), max))
        self._bounds = self._lower_bounds()
        targets = {_target(op) for op in self._possible}
        known = [one for one in members if one.error is None]
        self._complete = bool(known) and all(
            one.compact_revision <= 0 or one.compact_revision in targets for one in known
        )

    # --- rule 1

    def check_order(self, findings: Findings) -> None:
        """Check rule 1 of this module: compactions take effect in the order of their targets."""
        later: Operation | None = None
        first = lowest = later
        """Of the compactions to higher targets: the one that returned first, and the one whose
        answer has the lowest revision."""
        for op in reversed(self.done):
            if _target(op) > revision_of(op):
                self._wrong_answer(op, "which is a future revision", findings)
            if later is not None and _target(later) == _target(op):
                why = f"although {wording.operation(op)} had compacted to it"
                self._wrong_answer(later, why, findings, op)
            else:
                for other in (first, lowest):
                    if other is not None and self._is_before(other, op):
                        why = f"although {wording.operation(other)} came first"
                        self._wrong_answer(op, why, findings, other)
                        break
            if first is None or _returned(op) < _returned(first):
                first = op
            if lowest is None or revision_of(op) < revision_of(lowest):
                lowest = op
            later = op

    def _is_before(self, one: Operation, other: Operation) -> bool:
        """Return whether the compaction `one` certainly took effect before `other`."""
        return (
            _returned(one) < other.invoked
            or revision_of(one) < self._shown_before(other.invoked)
        )

    def _shown_before(self, event: int) -> int:
        """Return the highest revision that an operation had shown before the event `event`."""
        place = bisect_left(self._returns, event)
        return self._shown[place - 1] if place else 0

    def _lower_bounds(self) -> dict[int, int]:
        """Return the L of each compaction that may have taken effect.

        L is described in the docstring of this module. The key is the index of the event that
        invoked the compaction.
        """
        readers = sorted((min(past_revisions(op)), revision_of(op)) for op in self._readers)
        bounds: dict[int, int] = {}
        place = read = 0
        for op in sorted(self._possible, key=_target):
            while place < len(readers) and readers[place][0] < _target(op):
                read = max(read, readers[place][1])
                place += 1
            bounds[op.invoked] = max(_target(op), read)
        return bounds

    def _wrong_answer(
        self, op: Operation, why: str, findings: Findings, other: Operation | None = None
    ) -> None:
        ops = (op,) if other is None else (op, other)
        findings.add(
            "wrong answer",
            f"{wording.answered(op)} to {wording.request(op.request)}, {why}",
            *ops, revision=revision_of(op),
        )

    # --- rule 2

    def certain_before(self, revision: int) -> int:
        """Return the revision to which the store was certainly compacted when it made `revision`.

        The result is 0 if no compaction is certain.
        """
        place = bisect_left(self._revisions, revision)
        return _target(self._reached[place - 1]) if place else 0

    def check_reads(self, findings: Findings) -> None:
        """Check rule 2 of this module: an answered read takes effect before each later compaction.

        A read of revision r must therefore not be answered after a compaction to a revision above
        r. `mvcc/replay.py` checks this rule for uncertain transactions that write, when it looks
        for the writer of a revision.
        """
        by_revision, revisions, reached = self._by_revision, self._revisions, self._reached
        at: dict[int, list[Operation]] = {}
        for op in by_revision:
            at.setdefault(revision_of(op), []).append(op)
        for op in self._readers:
            revision = revision_of(op)
            asked = min(past_revisions(op))
            place = bisect_left(revisions, revision)
            if place and _target(reached[place - 1]) > asked:
                self._compacted_read(op, reached[place - 1], findings)
                continue
            if reaches_the_present(op.request):
                for compaction in at.get(revision, ()):
                    ended = compaction.returned
                    if _target(compaction) > asked and ended is not None and ended < op.invoked:
                        self._compacted_read(op, compaction, findings)
                        break

    def _compacted_read(self, op: Operation, compaction: Operation, findings: Findings) -> None:
        findings.add(
            "compacted read",
            f"{wording.answered(op)} to {wording.request(op.request)} at revision "
            f"{min(past_revisions(op))}, although {wording.node(compaction)} had compacted up to "
            f"{_target(compaction)} at {wording.seconds(compaction.ret or 0)}",
            compaction, op, revision=revision_of(op),
        )

    # --- rules 3 and 4

    def seen_by_refused(self) -> list[tuple[Operation, int]]:
        """Return (operation, revision) for operations that were refused because of a compaction.

        The revision is the lowest one that the operation can have seen, by rule 3 of this module.
        """
        seen = []
        for op in self._refused:
            if COMPACTED in (op.error or ""):
                revision = self._least_seen(op) if self._complete else _needed(op)
                if revision is not None:
                    seen.append((op, revision))
        return seen

    def _least_seen(self, op: Operation) -> int | None:
        least: int | None = None
        needed = _needed(op)
        for compaction in self._possible:
            in_time = op.returned is None or compaction.invoked < op.returned
            if compaction is op or _target(compaction) < needed or not in_time:
                continue
            revision = self._bounds[compaction.invoked]
            least = revision if least is None else min(least, revision)
        return least

    def check_refusals(self, certain: Sequence[Operation], findings: Findings) -> None:
        """Check rules 3 and 4 of this module, about refused reads and compactions.

        If a request was refused because a revision is compacted, some compaction in the history
        must refuse it. If it was refused because of a future revision, no earlier answer may have
        shown this revision. `certain` are the operations whose answers have a revision.
        """
        if not self._refused:
            return
        by_return = sorted(certain, key=_returned)
        returns = [_returned(op) for op in by_return]
        highest = _highest_so_far(by_return, revision_of)
        for op in self._refused:
            if COMPACTED in (op.error or ""):
                if self._complete and self._least_seen(op) is None:
                    findings.add(
                        "wrong refusal",
                        f"{wording.operation(op)} was refused at {wording.seconds(op.ret or 0)} "
                        f"({op.error}), although no compaction that refuses it had been invoked",
                        op,
                    )
                continue
            if _highest_asked(op) <= 1:
                findings.add(
                    "wrong refusal",
                    f"{wording.operation(op)} was refused at {wording.seconds(op.ret or 0)} "
                    f"({op.error}), although a new store is at revision 1",
                    op,
                )
                continue
            place = bisect_left(returns, op.invoked)
            if place and reaches_the_present(op.request):
                other = highest[place - 1]
                if revision_of(other) >= _highest_asked(op):
                    findings.add(
                        "wrong refusal",
                        f"{wording.operation(op)}, invoked at {wording.seconds(op.call)}, was "
                        f"refused ({op.error}), although {wording.answered(other)}",
                        other, op, revision=_asked(op),
                    )
        self._check_after_refusals(findings)

    def _check_after_refusals(self, findings: Findings) -> None:
        """Check that a refusal because of a compaction is final (last part of rule 3).

        After such a refusal, the store must also refuse reads and compactions that ask for the same
        or a lower revision.
        """
        refused = sorted(
            (op for op in self._refused if COMPACTED in (op.error or "")), key=_returned
        )
        if not refused:
            return
        returns = [_returned(op) for op in refused]
        highest = _highest_so_far(refused, _needed)
        for op in (*self._readers, *self.done):
            place = bisect_left(returns, op.invoked)
            if not place or not reaches_the_present(op.request):
                continue
            other = highest[place - 1]
            asked = _target(op) if isinstance(op.request, Compact) else min(past_revisions(op)) + 1
            if _needed(other) >= asked:
                self._answer_after_refusal(op, other, findings)

    def _answer_after_refusal(self, op: Operation, other: Operation, findings: Findings) -> None:
        compaction = isinstance(op.request, Compact)
        at = "" if compaction else f" at revision {min(past_revisions(op))}"
        findings.add(
            "wrong answer" if compaction else "compacted read",
            f"{wording.answered(op)} to {wording.request(op.request)}{at}; "
            f"{wording.operation(other)} had been refused at {wording.seconds(other.ret or 0)} "
            f"({other.error})",
            other, op, revision=revision_of(op),
        )


def check_reached(
    refused: Sequence[tuple[Operation, int]], last: int, findings: Findings
) -> None:
    """Report operations that were refused because of a compaction that the members never reached.

    `last` is the highest revision of the members at the end of the run. `refused` contains pairs: a
    refused operation, and the lowest revision that it can have seen. This revision must not be
    above `last`.
    """
    for op, revision in refused:
        if revision > last:
            findings.add(
                "wrong refusal",
                f"{wording.operation(op)} was refused at {wording.seconds(op.ret or 0)} "
                f"({op.error}), which needs a compaction at revision {revision} or later; the "
                f"members are at revision {last} at the end",
                op, revision=revision,
            )


def _highest_so_far(
    operations: Sequence[Operation], value: Callable[[Operation], int]
) -> list[Operation]:
    """Return for each index the operation with the highest `value` among those up to this index."""

    def more(one: Operation, other: Operation) -> Operation:
        return one if value(one) >= value(other) else other

    return list(accumulate(operations, more))


def _reads_past(op: Operation) -> bool:
    return any(True for _ in past_revisions(op))


def _refused(op: Operation) -> bool:
    error = op.error or ""
    if COMPACTED not in error and FUTURE not in error:
        return False
    return isinstance(op.request, Compact) or _reads_past(op)


def _asked(op: Operation) -> int:
    """Return the lowest revision that the refused operation `op` asked for."""
    return _target(op) if isinstance(op.request, Compact) else min(past_revisions(op))


def _highest_asked(op: Operation) -> int:
    return _target(op) if isinstance(op.request, Compact) else max(past_revisions(op))


def _needed(op: Operation) -> int:
    """Return the lowest target revision of a compaction that causes a refusal of `op`."""
    return _target(op) if isinstance(op.request, Compact) else min(past_revisions(op)) + 1


def _target(op: Operation) -> int:
    assert isinstance(op.request, Compact)
    return op.request.revision


def _returned(op: Operation) -> int:
    assert op.returned is not None
    return op.returned
