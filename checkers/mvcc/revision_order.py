"""Linearizability of a store that puts its revision on every answer, by the order that
revisions force.

An acknowledged write that made revision R has rank 2R; an answer that saw the store at
R (a linearizable read, a comparison that failed, a delete of nothing) has rank 2R + 1.
The history is linearizable if and only if

1. no two writes share a rank, and ranks agree with real time: among the operations that
   had returned before one was invoked, none has a higher rank (nor, for a write, its own);
2. each revision up to the last one seen has its writer: the acknowledged write that
   claims it, or one uncertain write, invoked before anything that saw this revision or a
   later one returned, that would have changed exactly what was changed; each uncertain
   write writes at most once; or a lease that ended then, and all its keys with it;
3. each answer says what a sequential store says that has made all writes up to R.

*If*: take the operations in the order of their ranks, those of one rank in the order of
their invocations. By 2 and 3 a sequential store gives these answers. Real time agrees:
for two operations that ended with an answer this is 1; for an uncertain writer of R, all
that has a rank of 2R or more returned after its invocation, by 2, and itself never
returned. *Only if*: revisions of a correct store count its writes, so that any
linearization orders certain operations by rank; then 1 and 3 hold of it, and the writer
of R in it fulfils 2. The deadline of R ("before anything that saw R or later returned")
never falls as R grows, and says the same as "above all that had returned by then".

Which uncertain write made R is told by the change log, as a rule by its unique value; where
several would do (deletes have no value), a matching decides for all revisions at once
(`splitbrain.checkers.model.uncertain_writes`). Where no change log reaches, the revisions without
an acknowledged
write are gaps, filled by a search among the uncertain writes (`mvcc/gap_search.py`);
all else
stays as it is.

Serializable reads are exempt from 1 as the later operation; as the earlier one they count,
since a revision that was seen anywhere was committed. They too see no revision before its
write was invoked. A read at a past revision r says what the store held at r; its header
says, like any other, what the store had reached, and has its rank.

Compactions make no revision. Those that share a rank have an order among themselves and
with reads of the past, which `splitbrain.checkers.mvcc.compaction` judges and argues.

Cost: n log n for sorting, and one sweep over the operations and one over the revisions;
the search over gaps is exponential at worst and has a limit.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from splitbrain.checkers import wording
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.model.answers import made_revision, revision_of
from splitbrain.checkers.model.requests import reaches_the_present
from splitbrain.histories.history import Operation
from splitbrain.histories.kv import Compact, Range, RangeResult

Numbers = NDArray[np.int64]









@dataclass(frozen=True, slots=True)
class Answers:
    """The certain operations, ordered as the rules need them."""

    certain: list[Operation]
    without: list[Operation]
    """Those whose answers carry no revision, or a number that can be none: there is no
    order then."""
    ranks: Numbers
    """Of each certain operation."""
    returns: Numbers
    """Of each certain operation, the index of the event that ended it."""
    writers: dict[int, Operation]
    """By the revision that each made; the first one where several claim it."""
    readers: dict[int, list[Operation]]
    """By the revision of which each tells: for a read of the past, the one it asked for."""
    seen: list[int]
    """All revisions in headers, ascending."""
    deadlines: list[int]
    """At each place of `seen`, the first return of an answer that saw that or a later one."""
    refused: Sequence[tuple[Operation, int]] = ()
    """Those that failed and so showed a revision."""
    rivals: Mapping[int, Sequence[Operation]] = field(default_factory=dict)
    """Where several claim to have made a revision, the others."""

    def deadline(self, revision: int) -> int | None:
        """The first return of an answer that saw `revision` or later; None if there is none."""
        place = bisect_left(self.seen, revision)
        return self.deadlines[place] if place < len(self.seen) else None

    def first_to_see(self, revision: int) -> list[Operation]:
        """The operation of that return, if there is one."""
        deadline = self.deadline(revision)
        if deadline is None:
            return []
        refused = [op for op, _ in self.refused]
        return [op for op in (*self.certain, *refused) if op.returned == deadline][:1]


REVISION_MAX = 1 << 61
"""Revisions are int64 in the protocol; up to here a rank is one, too."""










def order_answers(
    operations: Iterable[Operation],
    findings: Findings,
    refused: Sequence[tuple[Operation, int]] = (),
) -> Answers:
    """Sort the certain operations by what they saw; two writes at one revision are an anomaly.

    `refused`: operations that failed in a way that shows that a revision had been reached.
    """
    certain: list[Operation] = []
    revisions: list[int] = []
    wrote: list[bool] = []
    without: list[Operation] = []
    writers: dict[int, Operation] = {}
    readers: dict[int, list[Operation]] = {}
    rivals: dict[int, list[Operation]] = {}
    for op in operations:
        result = op.result
        if result is None:
            continue
        revision = result.header.revision
        if not 0 < revision < REVISION_MAX:
            without.append(op)
            continue
        made = type(result) is not RangeResult and made_revision(result)
        certain.append(op)
        revisions.append(revision)
        wrote.append(made)
        if made:
            other = writers.setdefault(revision, op)
            if other is not op:
                rivals.setdefault(revision, []).append(op)
                _blame_duplicate(other, op, revision, findings)
            continue
        request = op.request
        if type(request) is Range and 0 < request.revision < revision:
            revision = request.revision
        at = readers.get(revision)
        if at is None:
            readers[revision] = [op]
        else:
            at.append(op)
    shown = np.array(revisions, np.int64)
    returns = np.array([op.returned for op in certain], np.int64)
    ranks = 2 * shown + 1 - np.array(wrote, np.int64)
    seen, deadlines = _deadlines(
        np.append(shown, np.array([revision for _, revision in refused], np.int64)),
        np.append(returns, np.array([op.returned or _NEVER for op, _ in refused], np.int64)),
    )
    return Answers(
        certain, without, ranks, returns, writers, readers, seen, deadlines, refused, rivals
    )


def _deadlines(shown: Numbers, returns: Numbers) -> tuple[list[int], list[int]]:
    """The revisions shown, ascending, and of each the first return that shows it or a later one."""
    order = np.lexsort((returns, shown))
    ascending = shown[order]
    first = np.flatnonzero(np.diff(ascending, prepend=-1))
    latest_first = returns[order][first][::-1]
    return ascending[first].tolist(), np.minimum.accumulate(latest_first)[::-1].tolist()


_NEVER = 1 << 62


def _blame_duplicate(
    other: Operation, op: Operation, revision: int, findings: Findings
) -> None:
    findings.add(
        "duplicate revision",
        f"{wording.operation(other)} and {wording.operation(op)} were both "
        f"acknowledged at revision {revision}",
        other, op, revision=revision,
    )


def check_real_time(answers: Answers, findings: Findings) -> None:
    """Rule 1: one sweep by invocation, holding the highest rank that had returned."""
    certain, ranks = answers.certain, answers.ranks
    calls = np.array([op.invoked for op in certain], np.int64)
    refused = answers.refused
    back = [*certain, *(op for op, _ in refused)]
    returns = np.append(answers.returns, np.array([op.returned for op, _ in refused], np.int64))
    shown = np.append(ranks, np.array([2 * revision + 1 for _, revision in refused], np.int64))
    by_return = np.argsort(returns, kind="stable")
    highest = np.maximum.accumulate(shown[by_return])
    returned_before = np.searchsorted(returns[by_return], calls)
    held = np.append(highest, -1)[returned_before - 1]
    writes = ranks % 2 == 0
    behind = np.flatnonzero((ranks < held) | ((ranks == held) & writes))
    for this in behind[np.argsort(calls[behind], kind="stable")].tolist():
        op, wrote = certain[this], bool(writes[this])
        if wrote or reaches_the_present(op.request):
            holder = back[by_return[np.searchsorted(highest, held[this])]]
            _blame_order(op, holder, int(held[this]) // 2, wrote, findings)


def _blame_order(
    op: Operation, holder: Operation, before: int, wrote: bool, findings: Findings
) -> None:
    """`holder` had returned, and shown the revision `before`, when `op` was invoked."""
    seen = revision_of(op)
    if wrote and seen == before and holder.result is not None and made_revision(holder.result):
        return  # a duplicate revision, told already
    if wrote:
        findings.add(
            "revision order",
            f"{wording.operation(op)}, invoked at {wording.seconds(op.call)}, made revision {seen} "
            f"although {wording.node(holder)} had {_gave(holder)} revision {before} at "
            f"{wording.seconds(holder.ret or 0)}",
            holder, op, revision=seen,
        )
        return
    findings.add(
        "stale read" if not isinstance(op.request, Compact) else "stale answer",
        f"{wording.answered(op)} to {wording.request(op.request)}, asked at "
        f"{wording.seconds(op.call)}, although revision {before} was {_gave(holder)} by "
        f"{wording.node(holder)} at {wording.seconds(holder.ret or 0)}",
        holder, op, revision=seen,
    )


def _gave(op: Operation) -> str:
    return "acknowledged" if op.result and made_revision(op.result) else "shown"
