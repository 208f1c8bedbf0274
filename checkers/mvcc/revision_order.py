"""Decides linearizability of a store that returns its revision with each answer.

An acknowledged write that made revision R has rank 2R. An operation that saw the store at R and
wrote nothing (a read, a comparison that failed, a delete of an absent key) has rank 2R + 1. An
*uncertain* write is a write without an answer. The history is linearizable if and only if three
rules are satisfied:

1. No two writes have the same rank, and the ranks agree with real time. Let A return before B is
   invoked. Then the rank of A is at most that of B. If B is a write, the rank of A is lower than
   that of B.
2. Each revision up to the last one that was seen has a writer. The writer is the acknowledged
   write with this revision, or one uncertain write, or the end of a lease, which deletes all keys
   of the lease. An uncertain writer makes exactly the changes of the revision. It was invoked
   before the *deadline* of the revision: the first return of an operation that saw this revision
   or a later one. Each uncertain write is the writer of at most one revision.
3. Each answer is that of a sequential store that has made all writes up to R.

*If*: take the operations in the order of their ranks, and those with the same rank in the order of
their invocations. By rules 2 and 3 a sequential store gives these answers. It remains to show that
this order agrees with real time. For two operations with an answer, this follows from rule 1. For
an uncertain writer of R, rule 2 implies that every operation with rank 2R or more returned after
the uncertain writer was invoked. The uncertain writer itself never returned, so real time puts no
operation after it.

*Only if*: the revision of a correct store counts its writes, so any linearization orders the
answered operations by rank. Then rules 1 and 3 are satisfied, and the writer of R in the
linearization satisfies rule 2.

The change log shows which uncertain write made R, normally by its unique value. If several
uncertain writes can have made R (deletes have no value), a matching assigns the writers of all
revisions at once (`mvcc/writer_matching.py`). If no change log is available, the revisions without
an acknowledged write are gaps. A search among the uncertain writes then finds the writers of the
gaps (`mvcc/writer_search.py`).

Rule 1 does not apply if the later operation is a serializable read, because such a read may return
an old state. It does apply if the earlier operation is a serializable read, because a revision that
any member shows is committed. A read at a past revision r shows the store at r. Its rank comes from
the current revision, which is in the header of its answer.

Compactions make no revision. The order of compactions and reads of past revisions with the same
rank is checked in `mvcc/compaction.py`.

Cost: n log n for sorting, one sweep over the operations, and one over the revisions. The search
for the writers of gaps is exponential in the worst case and has a limit.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from splitbrain.checkers import wording
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.model.answer_facts import made_revision, revision_of
from splitbrain.checkers.model.request_parts import reaches_the_present
from splitbrain.checkers.mvcc.change_log import REVISION_MAX
from splitbrain.histories.history import Operation
from splitbrain.histories.kv import Compact, Range, RangeResult

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Answers:
    """The operations with an answer, ordered by the revisions in the answers.

    The rank of an operation with revision R is 2R if it made the revision, and 2R + 1 if it only
    saw it.
    """

    certain: list[Operation]
    """The operations whose answer has a revision."""
    without: list[Operation]
    """The operations whose answer has no revision, or a number that cannot be a revision. If this
    list is not empty, the operations cannot be ordered."""
    ranks: Numbers
    """The rank of each certain operation."""
    calls: Numbers
    """The index of the event that invoked each certain operation."""
    returns: Numbers
    """The index of the event that ended each certain operation."""
    made: Numbers
    """All revisions with an acknowledged write, ascending."""
    writers: Numbers
    """The place in `certain` of the acknowledged write of each revision in `made`. If several
    writes have the same revision, the first of them."""
    read_at: Numbers
    """The revision that each operation in `readers` saw, ascending. For a read of a past revision,
    the past revision."""
    readers: Numbers
    """The places in `certain` of the operations that wrote nothing. Those that saw the same
    revision are in the order of their invocations."""
    seen: Numbers
    """All revisions that appear in headers, ascending."""
    deadlines: Numbers
    """For each revision in `seen`, the first return of an operation that saw this revision or a
    later one."""
    refused: Sequence[tuple[Operation, int]] = ()
    """Operations that failed, each with a revision that the operation must have seen."""
    rivals: Mapping[int, Sequence[Operation]] = field(default_factory=dict)
    """The acknowledged writes that have the same revision as a write in `writers`."""

    def deadline(self, revision: int) -> int | None:
        """Return the index of the event by which some operation had certainly seen `revision`.

        The event is the first return of an operation that saw `revision` or a later one. Returns
        None if no operation saw it.
        """
        place = int(np.searchsorted(self.seen, revision))
        return int(self.deadlines[place]) if place < len(self.seen) else None

    def first_to_see(self, revision: int) -> list[Operation]:
        """Return the operation that was the first to return with `revision` or a later one.

        The list contains at most one operation.
        """
        deadline = self.deadline(revision)
        if deadline is None:
            return []
        refused = [op for op, _ in self.refused]
        return [op for op in (*self.certain, *refused) if op.returned == deadline][:1]


def order_answers(
    operations: Iterable[Operation],
    findings: Findings,
    refused: Sequence[tuple[Operation, int]] = (),
) -> Answers:
    """Order the operations with an answer by revision. Two writes at one revision are an anomaly.

    `refused` contains operations that the store refused because of a revision, each with a revision
    that the operation must have seen. Anomalies are added to `findings`.
    """
    certain: list[Operation] = []
    revisions, calls, returned, read = array("q"), array("q"), array("q"), array("q")
    without: list[Operation] = []
    for op in operations:
        result = op.result
        if result is None:
            continue
        revision = result.header.revision
        if not 0 < revision < REVISION_MAX:
            without.append(op)
            continue
        certain.append(op)
        revisions.append(revision)
        calls.append(op.invoked)
        returned.append(op.returned)  # type: ignore[arg-type]  # the operation has an answer
        if type(result) is not RangeResult and made_revision(result):
            read.append(_WROTE)
            continue
        request = op.request
        past = type(request) is Range and 0 < request.revision < revision
        read.append(request.revision if past else revision)  # type: ignore[union-attr]
    shown, returns, read_at = np.asarray(revisions), np.asarray(returned), np.asarray(read)
    wrote = read_at == _WROTE
    writes = _in_order(np.flatnonzero(wrote), shown)
    first = np.diff(shown[writes], prepend=0) > 0
    writers, made = writes[first], shown[writes[first]]
    readers = _in_order(np.flatnonzero(~wrote), read_at)
    seen, deadlines = _deadlines(
        np.append(shown, np.array([revision for _, revision in refused], np.int64)),
        np.append(returns, np.array([op.returned or _NEVER for op, _ in refused], np.int64)),
    )
    rivals: dict[int, list[Operation]] = {}
    for place in np.sort(writes[~first]).tolist():
        op, revision = certain[place], revisions[place]
        rivals.setdefault(revision, []).append(op)
        other = certain[writers[np.searchsorted(made, revision)]]
        _add_duplicate(other, op, revision, findings)
    return Answers(
        certain=certain, without=without, ranks=2 * shown + 1 - wrote, calls=np.asarray(calls),
        returns=returns, made=made, writers=writers, read_at=read_at[readers], readers=readers,
        seen=seen, deadlines=deadlines, refused=refused, rivals=rivals,
    )


_WROTE = -1
"""Stands for the revision that a read saw, for an operation that wrote."""


def _in_order(places: Numbers, revisions: Numbers) -> Numbers:
    """Sort `places` by their revisions. Places with the same revision stay in their order."""
    return places[np.argsort(revisions[places], kind="stable")]


def _deadlines(shown: Numbers, returns: Numbers) -> tuple[Numbers, Numbers]:
    """Return all revisions that some operation saw, ascending, and the deadline of each.

    Operation i saw the revision `shown[i]` and returned at `returns[i]`, an index of an event. The
    deadline of a revision is the first return of an operation that saw this revision or a later
    one.
    """
    order = np.lexsort((returns, shown))
    ascending = shown[order]
    first = np.flatnonzero(np.diff(ascending, prepend=-1))
    latest_first = returns[order][first][::-1]
    return ascending[first], np.minimum.accumulate(latest_first)[::-1]


_NEVER = 1 << 62


def _add_duplicate(
    other: Operation, op: Operation, revision: int, findings: Findings
) -> None:
    findings.add(
        "duplicate revision",
        f"{wording.operation(other)} and {wording.operation(op)} were both "
        f"acknowledged at revision {revision}",
        other, op, revision=revision,
    )


def check_real_time(answers: Answers, findings: Findings) -> None:
    """Check rule 1 of this module: the revisions in the answers agree with real time.

    Each operation is compared with the operations that returned before its invocation. If one of
    them saw a higher revision, this is an anomaly.
    """
    certain, ranks, calls, refused = answers.certain, answers.ranks, answers.calls, answers.refused
    returns = np.append(answers.returns, np.array([op.returned for op, _ in refused], np.int64))
    shown = np.append(ranks, np.array([2 * revision + 1 for _, revision in refused], np.int64))
    by_return = np.argsort(returns, kind="stable")
    highest = np.maximum.accumulate(shown[by_return])
    held = np.append(highest, -1)[np.searchsorted(returns[by_return], calls) - 1]
    writes = ranks % 2 == 0
    behind = np.flatnonzero((ranks < held) | ((ranks == held) & writes))
    for this in behind[np.argsort(calls[behind], kind="stable")].tolist():
        op, wrote = certain[this], bool(writes[this])
        if wrote or reaches_the_present(op.request):
            place = int(by_return[np.searchsorted(highest, held[this])])
            holder = certain[place] if place < len(certain) else refused[place - len(certain)][0]
            _add_order_violation(op, holder, int(held[this]) // 2, wrote, findings)


def _add_order_violation(
    op: Operation, holder: Operation, before: int, wrote: bool, findings: Findings
) -> None:
    """Report that the revision of `op` is too low, because `holder` had shown `before` earlier.

    `holder` had returned when `op` was invoked, and its answer shows the revision `before`. `wrote`
    is true if `op` made a revision.
    """
    seen = revision_of(op)
    if wrote and seen == before and holder.result is not None and made_revision(holder.result):
        return  # already reported as a duplicate revision
    if wrote:
        findings.add(
            "revision order",
            f"{wording.operation(op)}, invoked at {wording.seconds(op.call)}, made revision {seen} "
            f"although {wording.node(holder)} had {_gave(holder)} revision {before} at "
            f"{wording.seconds(holder.ret or 0)}: {wording.request(holder.request)}",
            holder, op, revision=seen,
        )
        return
    findings.add(
        "stale read" if not isinstance(op.request, Compact) else "stale answer",
        f"{wording.answered(op)} to {wording.request(op.request)}{_shown(op)}, invoked at "
        f"{wording.seconds(op.call)}, although revision {before} was {_gave(holder)} by "
        f"{wording.node(holder)} at {wording.seconds(holder.ret or 0)}: "
        f"{wording.request(holder.request)}",
        holder, op, revision=seen,
    )


def _shown(op: Operation) -> str:
    """Describe what a read of one key returned: ` -> r1='40' (create 3, mod 5, version 2)`."""
    if not isinstance(op.result, RangeResult) or not isinstance(op.request, Range):
        return ""
    if op.request.range_end or op.request.count_only:
        return f" -> {op.result.count} keys"
    return f" -> {wording.key_value(op.result.kvs[0]) if op.result.kvs else 'no key'}"


def _gave(op: Operation) -> str:
    return "acknowledged" if op.result and made_revision(op.result) else "shown"
