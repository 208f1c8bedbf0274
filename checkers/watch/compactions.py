"""The compactions of a run, and the earliest times at which its revisions can exist."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from splitbrain.histories.history import Operation


@dataclass(frozen=True, slots=True)
class Compaction:
    """One compaction that was asked for; `answered` is the revision that its answer says,
    None if it got none."""

    revision: int
    call: int
    answered: int | None
    operation: Operation


class Compactions:
    """All of a run. With `others` the store compacts of itself (etcd's `--auto-compaction-*`),
    so that any revision may have been compacted."""

    def __init__(self, asked: Sequence[Compaction], others: bool = False) -> None:
        self._asked = asked
        self._others = others
        done = sorted(
            (one for one in asked if one.answered is not None), key=lambda one: one.answered or 0
        )
        self._answered = [one.answered for one in done]
        self._highest: list[Compaction] = []
        for one in done:
            before = self._highest[-1] if self._highest else one
            self._highest.append(one if one.revision > before.revision else before)

    def may_have_reached(self, revision: int, time: int) -> bool:
        """Whether a compaction to `revision` or beyond was asked for by `time`."""
        return self._others or any(
            one.revision >= revision and one.call <= time for one in self._asked
        )

    def asked_for(self, revision: int, time: int) -> bool:
        return self._others or any(
            one.revision == revision and one.call <= time for one in self._asked
        )

    def done_before(self, revision: int) -> Compaction | None:
        """The furthest compaction that a member which stands at `revision` has made.

        A member has made it once it stands beyond the revision at which it was answered:
        what came after it in the log came after it there.
        """
        place = bisect_left(self._answered, revision, key=lambda answered: answered or 0)
        return self._highest[place - 1] if place else None


@dataclass(frozen=True, slots=True)
class Times:
    """When revisions can have been made at the earliest: rising in both."""

    revisions: list[int]
    calls: list[int]
    writers: list[Operation]

    def earliest(self, revision: int) -> tuple[int, Operation] | None:
        """Revision `revision` was not there before this time, since the write named, of this
        or an earlier revision, was not even asked for."""
        place = bisect_right(self.revisions, revision)
        return (self.calls[place - 1], self.writers[place - 1]) if place else None
