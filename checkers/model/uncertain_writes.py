"""Matches writes without an answer to the revisions that they made.

Each write is matched to at most one revision.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from splitbrain.checkers.model.requests import parts
from splitbrain.checkers.model.sequential_store import in_interval
from splitbrain.histories.history import Operation
from splitbrain.histories.kv import Delete, Put
from splitbrain.histories.member_state import Change


class WriteIndex:
    """Finds the operations that may have made a given change."""

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
        """Return the operations that put `value` to `key`, in either branch of a transaction."""
        return list(self._puts.get((key, value), {}).values())

    def makers(self, changes: Sequence[Change]) -> list[Operation]:
        """Return the operations that may have made `changes`.

        The lookup uses only one change: the first put or, if all changes are deletes, the first
        delete. The caller must therefore compare the other changes.
        """
        for change in changes:
            if change.kind == "put":
                return self.putters(change.key, change.value)
        return self._deleters_of(changes[0].key) if changes else []

    def _deleters_of(self, key: str) -> list[Operation]:
        """Return the operations that delete `key`, in the order of their invocations."""
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
    """Assigns a different writer to each revision, and changes earlier assignments if necessary.

    The assignment is a bipartite matching, found by augmenting paths (Kuhn's algorithm). Nearly
    always a revision has only one candidate, and no search is necessary.
    """

    def __init__(self) -> None:
        self.candidates: dict[int, Sequence[Operation]] = {}
        """The operations that can have made each revision."""
        self.of: dict[int, Operation] = {}
        """The operation that is assigned to each revision."""
        self.made: dict[int, int] = {}
        """The inverse of `of`: the revision, by the index of the operation's invocation."""

    def demand(self, revision: int, operations: Sequence[Operation]) -> bool:
        """Assign one of `operations` to `revision` as its writer.

        Returns False if every such assignment would leave an earlier revision without a writer.
        """
        self.candidates[revision] = operations
        return _augment(revision, self.candidates, self.of, self.made)

    def withdraw(self, revision: int) -> None:
        """Remove the demand for `revision`."""
        self.candidates.pop(revision, None)
        op = self.of.pop(revision, None)
        if op is not None:
            del self.made[op.invoked]

    def withdraw_from(self, revision: int) -> None:
        """Remove the demands for `revision` and all later revisions.

        The demands must have been made in the order of the revisions.
        """
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
    """Search breadth first for an augmenting path from `start`, and apply it."""
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
