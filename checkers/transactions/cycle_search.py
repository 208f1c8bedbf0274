"""Finds the shortest cycle through one of the given edges, by breadth-first search.

The session order and the real-time order are not stored as edges, because there would be too many.
They are stored as rows. A row contains the transactions of one process, or all transactions, sorted
by their begin. A transaction is before all transactions of its row that begin after its end. These
are the last part of the row. The search visits each part of a row only once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from splitbrain.checkers.transactions.dependencies import PROCESS, REALTIME, RW, RW_ASSUMED, Edges
from splitbrain.checkers.transactions.session_and_real_time import NEVER, Timing

STARTS_MAX = 100
"""The maximal number of start edges for which a shorter cycle is searched, once a cycle was found.
The start edges are spread over all edges."""

Anti = Literal["none", "apart", "any"]
"""The anti-dependencies that a cycle may contain after its first edge: none, any that do not
directly follow another one (`apart`), or any."""


class Edge(NamedTuple):
    """One edge of a cycle."""

    source: int
    target: int
    kind: int


class Web:
    """The dependencies and the order between the transactions `members`, for the search for cycles.

    Transactions are indexes in `timing.nodes`. `order` is "process", "realtime" or "".
    """

    def __init__(
        self, timing: Timing, members: npt.NDArray[np.int64], edges: Edges, order: str
    ) -> None:
        self._members = members
        self._place = np.full(len(timing.nodes), -1, np.int64)
        self._place[members] = np.arange(len(members))
        source, target = self._place[edges.source], self._place[edges.target]
        inside = (source >= 0) & (target >= 0)
        source, target, kind = source[inside], target[inside], edges.kind[inside]
        by_source = np.argsort(source, kind="stable")
        self._targets: list[int] = target[by_source].tolist()
        self._kinds: list[int] = kind[by_source].tolist()
        ends = np.searchsorted(source[by_source], np.arange(len(members) + 1))
        self._begin: list[int] = ends.tolist()
        self._returned: list[int] = timing.returned[members].tolist()
        self._rows: list[_Row] = []
        self._row_of: list[list[tuple[int, int]]] = [[] for _ in range(len(members))]
        """For each node, the number of each row with its successors, and the kind of edge."""
        if order == "realtime":
            self._add_row(np.arange(len(members)), timing.invoked[members], REALTIME)
        if order in ("process", "realtime"):
            process = timing.process[members]
            by_process = np.argsort(process, kind="stable")
            cuts = np.flatnonzero(np.diff(process[by_process])) + 1
            for group in np.split(by_process, cuts):
                if len(group) > 1:
                    self._add_row(group, timing.invoked[members[group]], PROCESS)

    def _add_row(
        self, group: npt.NDArray[np.int64], invoked: npt.NDArray[np.int64], kind: int
    ) -> None:
        by_time = np.argsort(invoked, kind="stable")
        row = _Row(invoked[by_time].tolist(), group[by_time].tolist())
        for node in row.nodes:
            # The row of the session comes first, so that an edge within a session is reported as
            # such, and not as an edge in real time.
            self._row_of[node].insert(0, (len(self._rows), kind))
        self._rows.append(row)

    def shortest(
        self, required: Edges, allowed: tuple[int, ...], anti: Anti, budget: int
    ) -> tuple[list[Edge] | None, int]:
        """Return the shortest cycle that was found, and the number of edges that were visited.

        The cycle begins with an edge of `required` and continues with edges of the kinds `allowed`,
        and with the anti-dependencies that `anti` permits. The search starts from one edge of
        `required` after another. It ends when more than `budget` edges were visited. If a cycle was
        found, the search also ends after `STARTS_MAX` starts.
        """
        best: list[Edge] | None = None
        spent = 0
        for number, one in enumerate(_spread(len(required))):
            if best is not None and number >= STARTS_MAX:
                break
            source = int(self._place[required.source[one]])
            target = int(self._place[required.target[one]])
            kind = int(required.kind[one])
            path, cost = self._path(
                target, source, kind, allowed, anti, len(best) - 1 if best else None
            )
            spent += cost
            if path is not None and (best is None or len(path) + 1 < len(best)):
                best = [Edge(source, target, kind), *path]
                if len(best) == 2:
                    break
            if spent > budget:
                break
        if best is None:
            return None, spent
        cycle = [
            Edge(int(self._members[edge.source]), int(self._members[edge.target]), edge.kind)
            for edge in best
        ]
        return cycle, spent

    def _path(
        self, start: int, goal: int, first: int, allowed: tuple[int, ...], anti: Anti,
        below: int | None,
    ) -> tuple[list[Edge] | None, int]:
        """Return the shortest path from `start` to `goal` with fewer than `below` edges.

        `first` is the kind of the edge that leads to `start`, and `allowed` are the kinds of the
        edges of the path. If there is no path, the first value is None. The second value is the
        number of edges that were visited. The search visits states, which are numbers. The state of
        node n is 2 n + 1 if `anti` is "apart" and the last edge was an anti-dependency. Otherwise
        it is 2 n.
        """
        apart = anti == "apart"
        begin = 2 * start + (1 if apart and first in (RW, RW_ASSUMED) else 0)
        end = 2 * goal
        reached: dict[int, tuple[int, int]] = {begin: (-1, -1)}
        row_end = [len(row.nodes) for row in self._rows]
        cost, depth, level = 0, 0, [begin]
        while level and (below is None or depth + 1 < below):
            depth += 1
            further: list[int] = []
            for state in level:
                node, after_anti = state >> 1, state & 1
                for edge in range(self._begin[node], self._begin[node + 1]):
                    cost += 1
                    kind = self._kinds[edge]
                    if kind in allowed:
                        next_state = 2 * self._targets[edge]
                    elif kind == RW and apart and not after_anti:
                        next_state = 2 * self._targets[edge] + 1
                    else:
                        continue
                    if next_state not in reached:
                        reached[next_state] = (state, kind)
                        further.append(next_state)
                returned = self._returned[node]
                if returned != NEVER:
                    for number, kind in self._row_of[node]:
                        row = self._rows[number]
                        later = bisect_right(row.invoked, returned)
                        for place in range(later, row_end[number]):
                            cost += 1
                            next_state = 2 * row.nodes[place]
                            if next_state not in reached:
                                reached[next_state] = (state, kind)
                                further.append(next_state)
                        row_end[number] = min(row_end[number], later)
                if end in reached:
                    return self._edges_to(end, reached), cost
            level = further
        return None, cost

    @staticmethod
    def _edges_to(end: int, reached: dict[int, tuple[int, int]]) -> list[Edge]:
        edges: list[Edge] = []
        state = end
        while reached[state][0] >= 0:
            before, kind = reached[state]
            edges.append(Edge(before >> 1, state >> 1, kind))
            state = before
        return edges[::-1]


def _spread(count: int) -> Iterator[int]:
    """Yield all indexes below `count`, beginning with a sample that is spread over all of them."""
    distance = max(1, count // STARTS_MAX)
    yield from range(0, count, distance)
    yield from (place for place in range(count) if place % distance)


class _Row(NamedTuple):
    """Transactions in the order of their begins, and the begin of each of them."""

    invoked: list[int]
    nodes: list[int]
