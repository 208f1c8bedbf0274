"""Finds the compactions of a run, and the earliest times at which revisions can exist."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from splitbrain.histories.history import Operation


@dataclass(frozen=True, slots=True)
class Compaction:
    """A compaction to `revision` that a client requested.

    `answered` is the revision in the header of the answer, or None if there is no answer.
    """

    revision: int
    call: int
    answered: int | None
    operation: Operation


class Compactions:
    """All compactions of a run.

    If `others` is true, the store also compacted by itself (etcd's `--auto-compaction-*`), so any
    revision may have been compacted.
    """

    def __init__(self, compactions: Sequence[Compaction], others: bool = False) -> None:
        self._compactions = compactions
        self._others = others
        done = sorted(
            (one for one in compactions if one.answered is not None),
            key=lambda one: one.answered or 0,
        )
        self._answered = [one.answered for one in done]
        self._highest: list[Compaction] = []
        for one in done:
            before = self._highest[-1] if self._highest else one
            self._highest.append(one if one.revision > before.revision else before)

    def may_have_reached(self, revision: int, time: int) -> bool:
        """Return whether a compaction to `revision` or a later one was invoked by `time`."""
        return self._others or any(
            one.revision >= revision and one.call <= time for one in self._compactions
        )

    def invoked(self, revision: int, time: int) -> bool:
        """Return whether a compaction to exactly `revision` was invoked by `time`."""
        return self._others or any(
            one.revision == revision and one.call <= time for one in self._compactions
        )

    def requested(self, revision: int) -> bool:
        """Return whether a client requested a compaction to exactly `revision`."""
        return any(one.revision == revision for one in self._compactions)

    def done_before(self, revision: int) -> Compaction | None:
        """Return the highest compaction that a member at `revision` has certainly made.

        Let R be the revision in the answer to a compaction. A member above R has applied the write
        of R + 1. This write is after the compaction in the Raft log, so the member has made the
        compaction. Returns None if no compaction is certain.
        """
        place = bisect_left(self._answered, revision, key=lambda answered: answered or 0)
        return self._highest[place - 1] if place else None


@dataclass(frozen=True, slots=True)
class Times:
    """The earliest times at which revisions can exist, from the acknowledged writes.

    Revisions and times are ascending.
    """

    revisions: list[int]
    calls: list[int]
    writers: list[Operation]

    def earliest(self, revision: int) -> tuple[int, Operation] | None:
        """Return the earliest time at which `revision` can exist, and the write that proves it.

        All earlier revisions exist by then. So this time is the latest invocation of the
        acknowledged writes at `revision` and at all earlier revisions. Returns None if no write
        proves a time.
        """
        place = bisect_right(self.revisions, revision)
        return (self.calls[place - 1], self.writers[place - 1]) if place else None
