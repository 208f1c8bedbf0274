"""When the revisions of a store were made, and its terms began: within what bounds a history
tells.

A revision stood by the time of the first answer that shows it or a later one, and did not
stand yet when an answer was asked for that had to be recent and does not show it.
"""

from __future__ import annotations

from bisect import bisect_left

from splitbrain.checkers.model.requests import must_be_recent
from splitbrain.histories.history import History, Operation
from splitbrain.histories.service import ServiceOperation


class RevisionTimes:
    """When revisions were made, and terms began, within bounds."""

    def __init__(self, history: History) -> None:
        answers = [op for op in history.operations if op.result is not None]
        told = sorted(
            [(answered_revision(op), op.ret or op.call) for op in answers]
            + [(answered_revision(op), op.ret or op.call) for op in history.services if op.result]
        )
        self._shown = [revision for revision, _ in told]
        self._shown_by = [time for _, time in told]
        for place in range(len(told) - 2, -1, -1):
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
        """It stood by then."""
        place = bisect_left(self._shown, revision)
        return self._shown_by[place] if place < len(self._shown) else None

    def not_made_at(self, revision: int) -> int:
        """It did not stand yet then; 0 if nothing tells."""
        place = bisect_left(self._seen, revision)
        return self._seen_at[place - 1] if place else 0

    @property
    def last(self) -> int:
        return self._seen_at[-1] if self._seen_at else 0


def answered_revision(op: Operation | ServiceOperation) -> int:
    return op.result.header.revision if op.result is not None else 0


def _terms(history: History) -> list[int]:
    """When a term was first heard of that is higher than all before."""
    everything: list[Operation | ServiceOperation] = [*history.operations, *history.services]
    heard = sorted(
        (op.ret, op.result.header.raft_term)
        for op in everything
        if op.result is not None and op.ret is not None
    )
    times, highest = [], 0
    for time, term in heard:
        if term > highest:
            highest = term
            times.append(time)
    return times
