"""Bounds the times at which revisions were made and terms began, from the answers.

The upper bound of revision R is the return of the first answer with revision R or higher. The lower
bound is the last invocation of a linearizable operation that was answered with a revision below R.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from splitbrain.checkers.model.request_parts import must_be_recent
from splitbrain.histories.history import History, Operation
from splitbrain.histories.service_operation import ServiceOperation


class RevisionTimes:
    """Bounds on the times of the revisions and terms in a history. All times are in ns."""

    def __init__(self, history: History) -> None:
        answers = [op for op in history.operations if op.result is not None]
        shown = sorted(
            [(answered_revision(op), op.ret or op.call) for op in answers]
            + [(answered_revision(op), op.ret or op.call) for op in history.services if op.result]
        )
        self._shown = [revision for revision, _ in shown]
        self._shown_by = [time for _, time in shown]
        for place in range(len(shown) - 2, -1, -1):
            self._shown_by[place] = min(self._shown_by[place], self._shown_by[place + 1])
        recent = sorted(
            (answered_revision(op), op.call) for op in answers if must_be_recent(op.request)
        )
        self._seen = [revision for revision, _ in recent]
        self._seen_at: list[int] = []
        for _, call in recent:
            self._seen_at.append(max(call, self._seen_at[-1] if self._seen_at else 0))
        self.terms = _terms(history)

    def made_before(self, revision: int) -> int | None:
        """Return a time at which `revision` certainly existed, or None if no answer shows it."""
        place = bisect_left(self._shown, revision)
        return self._shown_by[place] if place < len(self._shown) else None

    def not_made_at(self, revision: int) -> int:
        """Return a time at which `revision` certainly did not exist yet, or 0 if none is known."""
        place = bisect_left(self._seen, revision)
        return self._seen_at[place - 1] if place else 0

    def shown_by(self, time: int) -> int:
        """Return the highest revision that an answer had shown by `time`, or 0."""
        place = bisect_right(self._shown_by, time)
        return self._shown[place - 1] if place else 0

    @property
    def last(self) -> int:
        """Return the time of the last invocation of a linearizable operation that was answered."""
        return self._seen_at[-1] if self._seen_at else 0


def answered_revision(op: Operation | ServiceOperation) -> int:
    """Return the revision in the header of the answer, or 0 without an answer."""
    return op.result.header.revision if op.result is not None else 0


def _terms(history: History) -> list[int]:
    """Return the times at which an answer first showed a higher term than all answers before."""
    everything: list[Operation | ServiceOperation] = [*history.operations, *history.services]
    shown = sorted(
        (op.ret, op.result.header.raft_term)
        for op in everything
        if op.result is not None and op.ret is not None
    )
    times, highest = [], 0
    for time, term in shown:
        if term > highest:
            highest = term
            times.append(time)
    return times
