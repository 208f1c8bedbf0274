"""Checks rules 2 and 3 of `mvcc/revision_order.py`: replays writes and compares answers."""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence

from splitbrain.checkers import wording
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.model.answer_facts import revision_of
from splitbrain.checkers.model.evaluation import evaluate
from splitbrain.checkers.model.request_parts import must_be_recent, parts, reads_made
from splitbrain.checkers.model.sequential_store import (
    Made,
    SequentialStore,
    State,
    changes_of,
    made_by,
)
from splitbrain.checkers.mvcc.answer_difference import difference, has_inner_headers, wrong_header
from splitbrain.checkers.mvcc.change_log import ChangeLog
from splitbrain.checkers.mvcc.change_match import makes
from splitbrain.checkers.mvcc.conflict import Conflict
from splitbrain.checkers.mvcc.lost_write import (
    LOST_WRITE,
    WRONG_EFFECT,
    lost_at_the_end,
    lost_or_wrong,
)
from splitbrain.checkers.mvcc.quick_comparison import read_agrees, write_agrees
from splitbrain.checkers.mvcc.revision_order import Answers
from splitbrain.checkers.mvcc.revision_table import RevisionTable
from splitbrain.checkers.mvcc.uncertain_writes import UncertainWrites
from splitbrain.checkers.mvcc.unexplained_revision import UnexplainedRevisions
from splitbrain.checkers.mvcc.write_index import WriteIndex
from splitbrain.checkers.mvcc.writer_matching import Demand, Makers
from splitbrain.checkers.mvcc.writer_search import GapSearch
from splitbrain.histories.history import Operation
from splitbrain.histories.kv import Put, Range, Result, Txn
from splitbrain.histories.member_state import Change

STEPS_PER_REVISION_MAX = 20
STEPS_MAX = 1_000_000
"""A search takes at most STEPS_MAX steps, and STEPS_PER_REVISION_MAX more for each revision of the
history. A step visits one revision."""


class Replay:
    """Replays all writes on a sequential store, one revision after another, and judges answers.

    `run` adds the anomalies to `findings`. If revisions have no known writer, `run` searches among
    the writes without an answer for at most `search_limit_s` seconds.

    A plain read of a past revision is judged when the replay is at that revision. A transaction
    that reads a past revision can only be judged if the store keeps all revisions (`past`). The
    replay is slower then. If `past` is false, such a transaction raises NoPastError.

    When the store makes revision r, it is certainly compacted up to `compacted_before(r)`.
    """

    def __init__(
        self,
        *,
        operations: Sequence[Operation],
        answers: Answers,
        log: ChangeLog,
        findings: Findings,
        compacted_before: Callable[[int], int],
        past: bool = False,
        search_limit_s: float = math.inf,
    ) -> None:
        self._search_limit_s = search_limit_s
        self._operations = operations
        self._answers = answers
        self._log = log
        self._findings = findings
        self._compacted_before = compacted_before
        self._store = SequentialStore(past=past)
        self._makers = Makers(self._store, self._past)
        self._logged: SequentialStore | None = None
        self._unclaimed: dict[int, Sequence[Change]] = {}
        """The changes of revisions without an acknowledged writer, by revision."""
        self._reported: set[tuple[str, int, int]] = set()
        self._search: GapSearch | None = None
        uncertain = [
            op for op in operations if op.outcome == "info" and any(parts(op.request))
        ]
        uncertain.sort(key=lambda op: op.invoked)
        self._calls = [op.invoked for op in uncertain]
        self._all_writes: WriteIndex | None = None
        self._uncertain = UncertainWrites(uncertain)

    def run(self) -> None:
        """Replay all revisions, and add the anomalies to the findings."""
        gaps, end = self._find_gaps()
        if gaps:
            self._search = GapSearch(
                operations=self._operations, answers=self._answers, gaps=gaps, store=self._store,
                makers=self._makers,
            )
        table = RevisionTable(self._answers, self._log, gaps)
        revisions = table.revisions
        count = len(table) if end is None else bisect_left(revisions, end)
        steps = STEPS_MAX + STEPS_PER_REVISION_MAX * count
        deadline = time.monotonic() + self._search_limit_s
        rows = table.rows(0, count)
        while (row := next(rows, None)) is not None:
            steps -= 1
            if steps < 0:
                self._give_up(gaps)
                break
            try:
                self._at(*row)
            except Conflict as conflict:
                if time.monotonic() > deadline:
                    steps = 0
                again = self._search.back(conflict) if self._search else None
                if again is None:
                    self._no_choice_fits(conflict)
                    break
                rows = table.rows(bisect_left(revisions, again), count)
        self._report_unexplained()

    def _at(
        self,
        revision: int,
        writer: Operation | None,
        logged: Sequence[Change] | None,
        readers: Sequence[Operation],
    ) -> None:
        """Apply the changes of a row to the store, and check the answers at its revision."""
        self._store.compacted = self._compacted_before(revision)
        if self._search is not None and revision in self._search.gaps:
            self._search.choose(revision)
        elif writer is not None or logged is not None:
            self._write(revision, writer, logged)
        else:
            self._store.revision = revision
        for op in readers:
            self._read(op)

    # --- the revisions

    def _find_gaps(self) -> tuple[list[int], int | None]:
        """Return the gaps, and the revision before which the replay must end (None: no end).

        A gap is a revision without a known writer. Up to each revision, there must not be more gaps
        than operations that can have written them. The first revision with more gaps is reported
        as an anomaly, and the replay ends before it.
        """
        calls, found = self._calls, []
        spare = -1
        for revision in self._without_writer():
            if spare < 0:
                spare = self._leased()
            found.append(revision)
            deadline = self._answers.deadline(revision)
            able = len(calls) if deadline is None else bisect_left(calls, deadline)
            if len(found) > able + spare:
                self._findings.add(
                    "phantom write",
                    f"an answer shows revision {revision}, but {len(found)} of the revisions up to "
                    f"it have no acknowledged write, and only {able} uncertain writes had been "
                    "invoked by then",
                    *self._answers.first_to_see(revision), revision=revision,
                )
                return found[:-1], revision
        return found, None

    def _leased(self) -> int:
        """Return the number of puts with a lease in the history.

        Each end of a lease deletes keys that such puts wrote. Therefore at most this number of
        revisions was made by ends of leases.
        """
        return sum(
            isinstance(part, Put) and part.lease != 0
            for op in self._operations if op.outcome != "fail"
            for part in parts(op.request)
        )

    def _without_writer(self) -> Iterator[int]:
        """Yield the revisions that are in no change log and have no acknowledged write."""
        log, seen = self._log, self._answers.seen
        last = int(seen[-1]) if len(seen) else 1
        # A revision in the members' state exists, even if no answer shows it.
        last = log.last if log.final else max(last, log.last)
        ranges = (range(2, min(log.first, last + 1)), range(max(2, log.last + 1), last + 1))
        made = set(self._answers.made.tolist()) if any(ranges) else ()
        for revisions in ranges:
            for revision in revisions:
                if revision not in made:
                    yield revision

    # --- writes

    def _write(
        self, revision: int, writer: Operation | None, logged: Sequence[Change] | None
    ) -> None:
        """Apply the changes of `revision` to the store, and compare its writer with the log.

        The changes of the revision in the change log are `logged`, and its acknowledged write is
        `writer`. At most one of them is None.
        """
        if revision <= 1:
            self._impossible(revision, writer)
            return
        if logged is None and self._log.covers(revision):
            logged = ()  # a missing revision, reported when the log was read
        self._store.revision = revision - 1
        if writer is not None and self._as_answered(revision, writer, logged):
            return
        made: Made | None = None
        if writer is not None:
            if revision > self._log.last and self._log.final:
                because = lost_at_the_end(writer, revision, self._log.last)
                self._add(LOST_WRITE, because, writer, revision)
            expected, made = evaluate(self._store, writer.request, writer.result)
            if expected != writer.result or has_inner_headers(expected):
                self._compare_answer(writer, expected, made)
        if logged is None:
            assert made is not None
            self._store.write(revision, made)
            if self._search is not None and writer is not None:
                self._search.fixed(writer)
            return
        if writer is not None and made is not None and makes(made, logged):
            self._store.write(revision, made)
        else:
            claimed = writer is not None and (
                self._made_otherwise(revision, writer, made or (), logged)
                or self._made_by_another(revision, logged)
            )
            if not claimed:
                self._assign_uncertain_write(revision, logged)
            self._store.write(revision, made_by(revision, logged))
        if self._search is not None:
            self._search.fix_keys([one.key for one in logged])

    def _as_answered(
        self, revision: int, writer: Operation, logged: Sequence[Change] | None
    ) -> bool:
        """Apply `revision` to the store if the answer and the log are certainly right.

        Returns whether the revision was applied. Otherwise the caller must compare the details.
        """
        if logged is None and self._log.final and revision > self._log.last:
            return False
        assert writer.result is not None
        made = write_agrees(self._store, writer.request, writer.result)
        if made is None or (logged is not None and not makes(made, logged)):
            return False
        self._store.write(revision, made)
        if self._search is not None:
            if logged is None:
                self._search.fixed(writer)
            else:
                self._search.fix_keys([one.key for one in logged])
        return True

    def _impossible(self, revision: int, writer: Operation | None) -> None:
        if writer is not None:
            self._add(
                "impossible revision",
                f"{wording.operation(writer)} was acknowledged at revision {revision}; a "
                "new store is at revision 1, and its first write makes revision 2",
                writer, revision,
            )

    def _made_otherwise(
        self, revision: int, writer: Operation, made: Made, logged: Sequence[Change]
    ) -> bool:
        """Report that the changes at `revision` are not those that `writer` should have made.

        Returns True if `writer` made these changes, with a wrong effect. Returns False if the
        write is lost and another operation made the changes.
        """
        kind, because = lost_or_wrong(writer, revision, made, logged)
        self._add_or_conflict(writer, kind, because, revision)
        return kind == WRONG_EFFECT

    def _made_by_another(self, revision: int, logged: Sequence[Change]) -> bool:
        """Return whether another write acknowledged at `revision` made the changes `logged`."""
        rivals = self._answers.rivals.get(revision, ())
        return any(makes(evaluate(self._store, op.request)[1], logged) for op in rivals)

    def _assign_uncertain_write(self, revision: int, logged: Sequence[Change]) -> None:
        """Match `revision` with a write without an answer that would make the changes `logged`.

        Nothing is matched if the changes are the end of a lease. If no write matches, the revision
        is reported at the end of the replay.

        There is one exception: `GapSearch` may have chosen writers for earlier revisions. If
        another choice could leave a write for this revision, the method raises Conflict. Then
        `GapSearch` makes another choice.
        """
        if self._lease_ended(logged):
            return
        demand = Demand(
            revision, self._answers.deadline(revision),
            lambda state: self._uncertain.making(logged, state),
        )
        found = self._makers.demand(demand)
        self._unclaimed[revision] = logged
        if self._search is not None and not found:
            self._check_choices(self._search, demand, logged)

    def _check_choices(
        self, search: GapSearch, demand: Demand, logged: Sequence[Change]
    ) -> None:
        """Raise Conflict if other choices of `search` may give the revision of `demand` a writer.

        `demand` has found no writer for the changes `logged`. The search has chosen writers for
        earlier revisions, and these choices may be the reason.
        """
        revision, deadline, store = demand.revision, demand.deadline, self._store
        able = any(
            pool.available(deadline) and pool.condition.holds(store)
            for pool in demand.pools(store)
        )
        gaps = search.keys_concerned(one.key for one in logged)
        if self._all_writes is None:
            self._all_writes = WriteIndex(self._operations)
        for op in self._all_writes.makers(logged):
            if op.outcome == "info" and (deadline is None or op.invoked < deadline):
                gaps |= search.concerned(op.request)
        if able or gaps:
            gaps = search.gaps_before(revision) if able else gaps
        if gaps:
            because = f"revision {revision} contains {wording.changes(logged)}"
            raise Conflict(
                gaps=gaps, kind="phantom write", because=because, op=None, revision=revision,
                users=gaps if able else 0,
            )

    def _past(self, revision: int) -> State:
        """Return the state of the store at `revision`, which is before the present revision.

        Raises NoPastError if past states were not kept.
        """
        log, compacted = self._log, self._compacted_before(revision + 1)
        if log.first > 2 or revision > log.last:
            return self._store.at(revision, compacted)
        if self._logged is None:
            self._logged = SequentialStore()
            for at, changes in log.by_revision():
                self._logged.apply(at, changes)
        return self._logged.at(revision, compacted)

    def _lease_ended(self, logged: Sequence[Change]) -> bool:
        """Return whether the end of one lease makes exactly the changes `logged`."""
        if not logged or logged[0].kind != "delete" or not self._store.leases:
            return False
        held = self._store.now.get(logged[0].key)
        if held is None or not held.lease:
            return False
        gone = {one.key for one in logged if one.kind == "delete"}
        return len(gone) == len(logged) and gone == set(self._store.leases[held.lease])

    # --- answers

    def _read(self, op: Operation) -> None:
        request, result = op.request, op.result
        assert result is not None
        if type(request) is Range and request.revision > result.header.revision:
            self._of_the_future(op, result.header.revision)
            return
        if self._log.final and result.header.revision > self._log.last:
            self._add(
                "impossible revision",
                f"{wording.answered(op)} to {wording.request(request)}; the members are at "
                f"revision {self._log.last} at the end",
                op, revision_of(op),
            )
            return
        if (
            read_agrees(self._store, request, result)
            if type(request) is Range
            else write_agrees(self._store, request, result) == []
        ):
            if self._search is not None:
                self._search.fixed(op)
            return
        expected, made = evaluate(self._store, request, result)
        if made:
            revision = self._store.revision
            self._add_or_conflict(
                op, "missed effect",
                f"{wording.answered(op)} to {wording.request(request)} and wrote nothing; at that "
                f"revision it should have made {wording.changes(changes_of(revision + 1, made))}",
                revision,
            )
            return
        if expected != result or has_inner_headers(expected):
            self._compare_answer(op, expected, made)
        if self._search is not None:
            self._search.fixed(op)

    def _of_the_future(self, op: Operation, now: int) -> bool:
        """Report `op`, and return True, if it reads a revision above that of its answer, `now`."""
        request = op.request
        if type(request) is Range:
            later = request.revision
        elif type(request) is Txn:
            later = max((one.revision for one in reads_made(request, op.result)), default=0)
        else:
            return False
        if later <= now:
            return False
        self._add(
            "wrong answer",
            f"{wording.answered(op)} to {wording.request(request)} at revision {later}, which "
            "is a future revision",
            op, revision_of(op),
        )
        return True

    def _compare_answer(self, op: Operation, expected: Result, made: Made) -> None:
        assert op.result is not None
        revision = self._store.revision
        if self._of_the_future(op, revision):
            return
        different = difference(expected, op.result, op.request, self._store) or wrong_header(
            op.result, revision, revision + bool(made)
        )
        if different:
            self._add_or_conflict(
                op, "wrong answer",
                f"{wording.node(op)} answered process {op.process}'s "
                f"{wording.request(op.request)} at {wording.seconds(op.ret or 0)}, revision "
                f"{revision_of(op)}{_how(op)}: {different}",
                revision,
            )

    # --- anomalies

    def _add_or_conflict(
        self, op: Operation, kind: str, because: str, revision: int
    ) -> None:
        """Add an anomaly. Raise Conflict instead if a choice of the search may be its cause.

        For each revision without a known writer, the search chooses a writer. The choice may be
        wrong.
        """
        if self._search is not None:
            gaps, on = self._search.blamed(op)
            if gaps:
                raise Conflict(
                    gaps=gaps, on=on, kind=kind, because=because, op=op, revision=revision
                )
        self._add(kind, because, op, revision_of(op))

    def _add(self, kind: str, because: str, op: Operation, revision: int) -> None:
        """Add an anomaly, unless the search has already reported it on an earlier visit."""
        if (kind, op.invoked, revision) not in self._reported:
            self._reported.add((kind, op.invoked, revision))
            self._findings.add(kind, because, op, revision=revision)

    def _no_choice_fits(self, conflict: Conflict) -> None:
        """Report that an answer contradicts every possible choice of writers."""
        assert self._search is not None
        shown = self._search.shown(conflict.revision)
        if shown and conflict.op is None:
            changes = changes_of(conflict.revision, shown)
            self._unexplained().report(conflict.revision, changes, self._makers.made)
            return
        deepest = self._search.deepest or conflict
        ops = [deepest.op] if deepest.op is not None else []
        ops = ops or self._answers.first_to_see(deepest.revision)
        before = self._search.made_by_any(deepest.revision)
        self._findings.add(
            deepest.kind,
            f"{deepest.because}{before}", *ops, revision=deepest.revision,
        )

    def _give_up(self, gaps: Sequence[int]) -> None:
        self._findings.unknown.append(
            f"{len(gaps)} revisions (the first is {gaps[0]}) have no acknowledged write and are "
            "in no change log, and the search for the uncertain writes that made them reached its "
            "limit"
        )

    def _report_unexplained(self) -> None:
        self._findings.uncertain_applied = len(self._makers.of)
        for revision, changes in self._unclaimed.items():
            unmade = revision in self._makers.demands and revision not in self._makers.of
            if unmade and changes:
                self._unexplained().report(revision, changes, self._makers.made)

    def _unexplained(self) -> UnexplainedRevisions:
        return UnexplainedRevisions(self._operations, self._answers, self._findings)


def _how(op: Operation) -> str:
    """Return the kind of read of `op`, for a message. "" for a linearizable, current read."""
    if isinstance(op.request, Range) and op.request.revision:
        return f", read at revision {op.request.revision}"
    return "" if must_be_recent(op.request) else ", serializable"
