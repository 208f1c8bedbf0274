"""All revisions of a history in a table of numbers, which needs less memory than dicts of lists."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from splitbrain.checkers.mvcc.change_log import ChangeLog
from splitbrain.checkers.mvcc.revision_order import Answers, Numbers
from splitbrain.histories.history import Operation
from splitbrain.histories.member_state import Change

Row = tuple[int, Operation | None, Sequence[Change] | None, Sequence[Operation]]
"""A revision; its acknowledged write (if several writes have it, the first of them); its changes in
the change log, or None if it has none there; and the operations that saw it and wrote nothing."""


class RevisionTable:
    """The revisions of a history, ascending. A row belongs to the revision in `revisions`.

    A revision is in the table if it is in `answers`, in the change log `log`, or in `gaps`.
    """

    def __init__(self, answers: Answers, log: ChangeLog, gaps: Iterable[int]) -> None:
        gap_revisions = np.fromiter(gaps, np.int64)
        all_revisions = np.concatenate(
            (log.revisions, answers.made, answers.read_at, gap_revisions)
        )
        all_revisions.sort(kind="stable")  # This sort is fast because the parts are sorted.
        rows = all_revisions[np.diff(all_revisions, prepend=-2) > 0]
        self.revisions = _integers(rows)
        certain = answers.certain
        self._writers: list[Operation | None] = [None] * len(rows)
        written_rows = np.searchsorted(rows, answers.made)
        for row, place in zip(_integers(written_rows), _integers(answers.writers), strict=True):
            self._writers[row] = certain[place]
        self._readers = [certain[place] for place in _integers(answers.readers)]
        self._readers_end = _integers(_ends(answers.read_at, rows))
        self._changes = log.changes
        self._changes_end = _integers(_ends(log.revisions, rows))

    def __len__(self) -> int:
        return len(self.revisions)

    def rows(self, begin: int, end: int) -> Iterator[Row]:
        """Yield the rows from `begin` to `end - 1`."""
        revisions, writers, readers, changes = (
            self.revisions, self._writers, self._readers, self._changes
        )
        readers_end, reader = self._readers_end, self._readers_end[begin]
        changes_end, change = self._changes_end, self._changes_end[begin]
        for row in range(begin, end):
            first_reader, reader = reader, readers_end[row + 1]
            first_change, change = change, changes_end[row + 1]
            yield (
                revisions[row],
                writers[row],
                changes[first_change:change] if first_change < change else None,
                readers[first_reader:reader] if first_reader < reader else (),
            )


def _ends(ascending: Numbers, rows: Numbers) -> Numbers:
    """Return 0 and then, for each row, the place in `ascending` after the last of its revision.

    Each number in `ascending` is in `rows`.
    """
    return np.append(0, np.searchsorted(ascending, rows, side="right"))


def _integers(numbers: Numbers) -> array[int]:
    """Return an array that creates Python's integers faster than numpy does."""
    return array("q", numbers.astype(np.int64, copy=False).tobytes())
