"""Compactions, reads of what is compacted, and refusals for that reason.

A compaction to C, answered at revision R, makes no revision: it takes effect somewhere
between the writes of R and of R + 1. From there on reads below C, and compactions to C or
below, are refused. So

1. of two compactions the one to the lower revision comes first: it has not the higher R,
   and with the same R the other had not returned when it was invoked;
2. an answered read at r comes before each compaction to C > r: its header's revision is
   not above R, and with the same revision the compaction had not returned when the read
   was invoked (a serializable read may then still see the member as it was);
3. who is told that r is compacted comes behind a compaction to C > r, hence saw R (of
   one without an answer: C, for it must not be in the future): to
   `splitbrain.checkers.mvcc.revision_order`
   it is one more that saw this revision; without such a compaction it was told wrongly;
   and who was invoked after it returned is not answered at r or below, nor compacts to r + 1
   or below;
4. who is told that r is in the future, and had to be recent, was invoked before anything
   that saw r had returned.

Of a transaction that was refused it is not known which branch would have run: any may be
what 3 and 4 are about.

In pairs that is enough: a circle of orders by 1 and 2 and real time among operations of
one revision has two neighbours that break one of them (the compaction that comes first
by real time has the lower C, so that what precedes the higher one precedes it or breaks 2).
Compactions that nobody asked for (etcd's `--auto-compaction-*`) show in the members'
states; then, and where there are none, any compaction may have been,
to no revision still to come: who is refused saw at least the one that he asked for, or, of
a read, the next.

Source: etcd 3.5, server/mvcc/kvstore.go (checkCompaction, updateCompactRev) and
kvstore_txn.go (rangeKeys). Cost: n log n.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from splitbrain.checkers import wording
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.model.answers import revision_of
from splitbrain.checkers.model.requests import ranges, reaches_the_present, reads_made
from splitbrain.histories.history import Operation
from splitbrain.histories.kv import Compact
from splitbrain.histories.member_state import MemberState

COMPACTED = "required revision has been compacted"
FUTURE = "required revision is a future revision"


def past_revisions(op: Operation) -> Iterator[int]:
    """The revisions at which `op` reads the past; where its answer does not tell which branches
    of a transaction ran, in whichever."""
    reads = ranges(op.request) if op.result is None else reads_made(op.request, op.result)
    for one in reads:
        if one.revision > 0:
            yield one.revision


class Compactions:
    """The compactions of a history, and who was refused because of one."""

    def __init__(self, operations: Sequence[Operation], members: Sequence[MemberState]) -> None:
        asked = [op for op in operations if type(op.request) is Compact]
        self.done = sorted((op for op in asked if op.outcome == "ok"), key=_target)
        self._possible = [op for op in asked if op.outcome != "fail"]
        self._refused = [op for op in operations if op.outcome == "fail" and _refused(op)]
        self._readers: list[Operation] = []
        if asked or self._refused:
            self._readers = [op for op in operations if op.outcome == "ok" and _reads_past(op)]
        told = {_target(op) for op in self._possible}
        known = [one for one in members if one.error is None]
        self._complete = bool(known) and all(
            one.compact_revision <= 0 or one.compact_revision in told for one in known
        )

    # --- 1

    def check_order(self, findings: Findings) -> None:
        latest: dict[int, Operation] = {}
        highest: Operation | None = None
        before: Operation | None = None
        for op in self.done:
            revision = revision_of(op)
            if _target(op) > revision:
                self._blame(op, "which was still to come", findings)
            same = latest.get(revision)
            if before is not None and _target(before) == _target(op):
                self._blame(op, f"to which {wording.operation(before)} had", findings, before)
            elif highest is not None and revision_of(highest) > revision:
                self._blame(highest, f"although {wording.operation(op)} came first", findings, op)
            elif same is not None and op.returned is not None and op.returned < same.invoked:
                self._blame(same, f"although {wording.operation(op)} came first", findings, op)
            if highest is None or revision > revision_of(highest):
                highest = op
            if same is None or op.invoked > same.invoked:
                latest[revision] = op
            before = op

    def _blame(
        self, op: Operation, why: str, findings: Findings, other: Operation | None = None
    ) -> None:
        ops = (op,) if other is None else (op, other)
        findings.add(
            "wrong answer",
            f"{wording.answered(op)} to {wording.request(op.request)}, {why}",
            *ops, revision=revision_of(op),
        )

    # --- 2

    def check_reads(self, findings: Findings) -> None:
        by_revision = sorted(self.done, key=revision_of)
        revisions = [revision_of(op) for op in by_revision]
        reached = _highest_so_far(by_revision, _target)
        at: dict[int, list[Operation]] = {}
        for op in by_revision:
            at.setdefault(revision_of(op), []).append(op)
        for op in self._readers:
            revision = revision_of(op)
            asked = min(past_revisions(op))
            place = bisect_left(revisions, revision)
            if place and _target(reached[place - 1]) > asked:
                self._blame_read(op, reached[place - 1], findings)
                continue
            if reaches_the_present(op.request):
                for compaction in at.get(revision, ()):
                    ended = compaction.returned
                    if _target(compaction) > asked and ended is not None and ended < op.invoked:
                        self._blame_read(op, compaction, findings)
                        break

    def _blame_read(self, op: Operation, compaction: Operation, findings: Findings) -> None:
        findings.add(
            "compacted read",
            f"{wording.answered(op)} to {wording.request(op.request)} at revision "
            f"{min(past_revisions(op))}, although {wording.node(compaction)} had compacted up to "
            f"{_target(compaction)} at {wording.seconds(compaction.ret or 0)}",
            compaction, op, revision=revision_of(op),
        )

    # --- 3 and 4

    def seen_by_refused(self) -> list[tuple[Operation, int]]:
        """Who was told that something is compacted, and the revision that this shows."""
        seen = []
        for op in self._refused:
            if COMPACTED in (op.error or ""):
                revision = self._least_seen(op) if self._complete else _needed(op)
                if revision is not None:
                    seen.append((op, revision))
        return seen

    def _least_seen(self, op: Operation) -> int | None:
        least: int | None = None
        wanted = _needed(op)
        for compaction in self._possible:
            in_time = op.returned is None or compaction.invoked < op.returned
            if compaction is op or _target(compaction) < wanted or not in_time:
                continue
            revision = _target(compaction)
            if compaction.outcome == "ok":
                revision = revision_of(compaction)
            least = revision if least is None else min(least, revision)
        return least

    def check_refusals(self, certain: Sequence[Operation], findings: Findings) -> None:
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
                        f"({op.error}), although nobody had asked to compact so far",
                        op,
                    )
                continue
            if _highest_asked(op) <= 1:
                findings.add(
                    "wrong refusal",
                    f"{wording.operation(op)} was refused at {wording.seconds(op.ret or 0)} "
                    f"({op.error}), although a store begins at revision 1",
                    op,
                )
                continue
            place = bisect_left(returns, op.invoked)
            if place and reaches_the_present(op.request):
                other = highest[place - 1]
                if revision_of(other) >= _highest_asked(op):
                    findings.add(
                        "wrong refusal",
                        f"{wording.operation(op)}, asked at {wording.seconds(op.call)}, was "
                        f"refused ({op.error}), although {wording.answered(other)}",
                        other, op, revision=_asked(op),
                    )
        self._check_after_refusals(findings)

    def _check_after_refusals(self, findings: Findings) -> None:
        """Once somebody was refused, what that compaction took away stays away, and another one
        to the same revision or below is refused, too."""
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
                self._blame_after_refusal(op, other, findings)

    def _blame_after_refusal(self, op: Operation, other: Operation, findings: Findings) -> None:
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
    """Nobody is refused for a compaction to a revision that the members, at `last`, never made."""
    for op, revision in refused:
        if revision > last:
            findings.add(
                "wrong refusal",
                f"{wording.operation(op)} was refused at {wording.seconds(op.ret or 0)} "
                f"({op.error}), by a compaction that was not asked for before revision {revision}; "
                f"the members stand at {last}",
                op, revision=revision,
            )


def _highest_so_far(
    operations: Sequence[Operation], what: Callable[[Operation], int]
) -> list[Operation]:
    """At each place the one, up to there, with the most of `what`."""

    def more(one: Operation, other: Operation) -> Operation:
        return one if what(one) >= what(other) else other

    return list(accumulate(operations, more))


def _reads_past(op: Operation) -> bool:
    return any(True for _ in past_revisions(op))


def _refused(op: Operation) -> bool:
    error = op.error or ""
    if COMPACTED not in error and FUTURE not in error:
        return False
    return isinstance(op.request, Compact) or _reads_past(op)


def _asked(op: Operation) -> int:
    """The lowest revision that a refused operation asked for."""
    return _target(op) if isinstance(op.request, Compact) else min(past_revisions(op))


def _highest_asked(op: Operation) -> int:
    return _target(op) if isinstance(op.request, Compact) else max(past_revisions(op))


def _needed(op: Operation) -> int:
    """The least compaction that refuses `op`."""
    return _target(op) if isinstance(op.request, Compact) else min(past_revisions(op)) + 1


def _target(op: Operation) -> int:
    assert isinstance(op.request, Compact)
    return op.request.revision


def _returned(op: Operation) -> int:
    assert op.returned is not None
    return op.returned
