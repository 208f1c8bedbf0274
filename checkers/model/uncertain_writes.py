"""Which uncertain write made which revision: a matching, each write used at most once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from splitbrain.checkers.model.requests import parts
from splitbrain.checkers.model.sequential_store import in_interval
from splitbrain.histories.history import Operation
from splitbrain.histories.kv import Delete, Put
from splitbrain.histories.member_state import Change


class WriteIndex:
    """Operations that may have made a change, found by the change."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._puts: dict[tuple[str, str], dict[int, Operation]] = {}
        self._deletes: dict[str, dict[int, Operation]] = {}
        self._interval_deletes: list[tuple[Delete, Operation]] = []
        self._deleters: dict[str, list[Operation]] = {}
        self.count = 0
        for op in operations:
            self.count += 1
            for part in parts(op.request):
                if isinstance(part, Put):
                    self._puts.setdefault((part.key, part.value), {})[op.invoked] = op
                elif part.range_end:
                    self._interval_deletes.append((part, op))
                else:
                    self._deletes.setdefault(part.key, {})[op.invoked] = op

    def putters(self, key: str, value: str) -> list[Operation]:
        """Those that put `value` to `key` in whichever branch."""
        return list(self._puts.get((key, value), {}).values())

    def makers(self, changes: Sequence[Change]) -> list[Operation]:
        """Operations that name what changed: by the first put's key and value, or, where
        all was deleted, by the first key."""
        for change in changes:
            if change.kind == "put":
                return self.putters(change.key, change.value)
        return self._deleters_of(changes[0].key) if changes else []

    def _deleters_of(self, key: str) -> list[Operation]:
        """Those that delete `key`, in the order of their invocations."""
        known = self._deleters.get(key)
        if known is not None:
            return known
        found = dict(self._deletes.get(key, {}))
        for part, op in self._interval_deletes:
            if in_interval(key, part.key, part.range_end):
                found[op.invoked] = op
        self._deleters[key] = [found[index] for index in sorted(found)]
        return self._deleters[key]


class Makers:
    """Gives revisions a writer of their own each, moving those given already where need be.

    By augmenting paths (Kuhn); nearly always there is one candidate and nothing to search.
    """

    def __init__(self) -> None:
        self.candidates: dict[int, Sequence[Operation]] = {}
        """Which operations could have made each revision."""
        self.of: dict[int, Operation] = {}
        """The operation that is taken to have made a revision."""
        self.made: dict[int, int] = {}
        """The other way round: by the index of an operation's invocation."""

    def demand(self, revision: int, operations: Sequence[Operation]) -> bool:
        """Whether one of `operations` can have made `revision`, besides all demanded before."""
        self.candidates[revision] = operations
        return _augment(revision, self.candidates, self.of, self.made)

    def withdraw(self, revision: int) -> None:
        """`revision` needs no writer any more."""
        self.candidates.pop(revision, None)
        op = self.of.pop(revision, None)
        if op is not None:
            del self.made[op.invoked]

    def withdraw_from(self, revision: int) -> None:
        """Nor do those demanded last, from `revision` on: demands come in ascending order."""
        while self.candidates:
            last = next(reversed(self.candidates))
            if last < revision:
                return
            self.withdraw(last)


def _augment(
    start: int,
    candidates: Mapping[int, Sequence[Operation]],
    maker: dict[int, Operation],
    made: dict[int, int],
) -> bool:
    """Find, breadth first, a way to give `start` a writer by moving those given already."""
    reached_by: dict[int, tuple[int, Operation]] = {}
    queue = [start]
    for revision in queue:
        for op in candidates[revision]:
            if op.invoked in reached_by:
                continue
            reached_by[op.invoked] = (revision, op)
            other = made.get(op.invoked)
            if other is not None:
                queue.append(other)
                continue
            free: Operation | None = op
            while free is not None:
                taker, _ = reached_by[free.invoked]
                previous = maker.get(taker)
                maker[taker] = free
                made[free.invoked] = taker
                free = None if taker == start else previous
            return True
    return False
