"""Matches writes without an answer to the revisions that they made.

A write is matched to at most one revision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from splitbrain.checkers.model.sequential_store import SequentialStore, State
from splitbrain.checkers.mvcc.uncertain_writes import Pool
from splitbrain.histories.history import Operation


@dataclass(frozen=True, slots=True)
class Demand:
    """A revision that needs a write without an answer as its writer.

    `pools` returns the candidates, given the state before the revision. They are in pools of
    interchangeable operations. A candidate must have been invoked before `deadline`, an index of an
    event, and the state must fulfil the condition of its pool.
    """

    revision: int
    deadline: int | None
    pools: Callable[[State], Iterable[Pool]]


class Makers:
    """Assigns a different writer to each revision, and changes earlier assignments if necessary.

    The assignment is a bipartite matching. Nearly always a candidate is free. Otherwise the
    matching is changed along an augmenting path (Kuhn's algorithm). To find one, the candidates of
    earlier revisions are determined again: `past` returns the state at a past revision.
    """

    def __init__(self, store: SequentialStore, past: Callable[[int], State]) -> None:
        self.demands: dict[int, Demand] = {}
        """All demands by revision, also those that have no writer."""
        self.of: dict[int, Operation] = {}
        """The operation that is assigned to each revision."""
        self.made: dict[int, int] = {}
        """The inverse of `of`: the revision, by the index of the operation's invocation."""
        self._store = store
        self._past = past
        self._exhausted: set[int] = set()
        """Invocations of operations that a search without success has reached. All of them are
        assigned, and no later search that reaches them can succeed."""
        self._era = 0
        self.rivals: tuple[int, ...] | None = ()
        """The revisions that use all candidates of the last demand that failed. If none of them
        gets another demand, the demand would fail again. None if they are not known."""

    def demand(self, demand: Demand) -> bool:
        """Assign one of the candidates of `demand` as the writer of its revision.

        The store must be in the state before the revision. Earlier revisions may get other writers.
        Returns False if no candidate can be assigned without leaving an earlier revision without a
        writer.
        """
        revision, store = demand.revision, self._store
        self.demands[revision] = demand
        for pool in demand.pools(store):
            op = pool.unused(demand.deadline, self.made, self._era)
            if op is not None and pool.condition.holds(store):
                self.of[revision] = op
                self.made[op.invoked] = revision
                return True
        return self._augment(revision)

    def _augment(self, start: int) -> bool:
        """Find a writer for the revision `start` by changing the writers of earlier revisions.

        Searches breadth first for an augmenting path of the matching, and applies it. Returns False
        if there is no such path.
        """
        reached_by: dict[int, tuple[int, Operation]] = {}
        reached_of: dict[Pool, int] = {}
        """The number of operations of each pool that were reached."""
        queue = [start]
        all_reached = not self._exhausted
        for revision in queue:
            demand = self.demands[revision]
            state = self._store if revision == start else self._past(revision - 1)
            for pool in demand.pools(state):
                begin, end = reached_of.get(pool, 0), pool.available(demand.deadline)
                if begin >= end or not pool.condition.holds(state):
                    continue
                reached_of[pool] = end
                for op in pool.operations[begin:end]:
                    if op.invoked in reached_by or op.invoked in self._exhausted:
                        continue
                    reached_by[op.invoked] = (revision, op)
                    other = self.made.get(op.invoked)
                    if other is None:
                        self._apply(start, op, reached_by)
                        return True
                    queue.append(other)
        self._exhausted.update(reached_by)
        self.rivals = tuple(queue[1:]) if all_reached else None
        return False

    def _apply(
        self, start: int, free: Operation, reached_by: dict[int, tuple[int, Operation]]
    ) -> None:
        """Change the writers along the augmenting path from the revision `start` to `free`.

        `free` is an operation that is the writer of no revision. `reached_by` maps each operation
        to the revision from which the search reached it. `free` becomes the writer of that
        revision. The former writer of that revision becomes the writer of the revision from which
        it was reached, and so on, until `start` has a writer.
        """
        op: Operation | None = free
        while op is not None:
            taker, _ = reached_by[op.invoked]
            previous = self.of.get(taker)
            self.of[taker] = op
            self.made[op.invoked] = taker
            op = None if taker == start else previous

    def withdraw(self, revision: int) -> None:
        """Stop demanding a writer for `revision`, and release the operation that was assigned."""
        self.demands.pop(revision, None)
        op = self.of.pop(revision, None)
        self._exhausted.clear()
        if op is not None:
            del self.made[op.invoked]
            self._era += 1

    def withdraw_from(self, revision: int) -> None:
        """Stop demanding writers for `revision` and all later revisions.

        The demands must have been made in the order of the revisions.
        """
        while self.demands:
            last = next(reversed(self.demands))
            if last < revision:
                return
            self.withdraw(last)
