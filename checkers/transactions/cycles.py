"""Finds cycles of dependencies between transactions, and determines the kind of each cycle.

    kind           edges of the cycle (defined in `transactions/dependencies.py`)
    G0             only ww
    G1c            ww and wr
    G-single       one rw, otherwise ww and wr
    G-nonadjacent  several rw, but no two of them in succession
    G2-item        any cycle with rw

The worst kind is first in the list. The name of a kind ends in `-process` or `-realtime` if the
cycle also contains an edge of the session order or of the real-time order.

For each kind except G-single, a graph is built whose strongly connected components show exactly
whether the history contains the kind. G-single needs a search, which ends without a result after
`SEARCH_STEPS_MAX` edges. The checker shows the shortest cycles of up to `EXAMPLES_MAX` components
as examples. It skips a component whose transactions already show a worse kind.

Anomalies that are not cycles between transactions are found while the dependencies are inferred,
in `transactions/list_append.py` and `transactions/rw_register.py`. Both find G1a, G1b, internal,
lost-update, garbage-read and future-read. Only lists can show dirty-update, duplicate-elements and
incompatible-order. Only registers can show cyclic-versions.

Sources: Adya 1999; Kingsbury and Alvaro 2020, section 6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from splitbrain.checkers.transactions.cycle_search import Anti, Edge, Web
from splitbrain.checkers.transactions.dependencies import (
    PROCESS,
    REALTIME,
    RW,
    RW_ASSUMED,
    WR,
    WW,
    WW_ASSUMED,
    Dependencies,
    Edges,
    Nodes,
)
from splitbrain.checkers.transactions.session_and_real_time import Timing
from splitbrain.checkers.transactions.strongly_connected import (
    with_order,
    with_single_antidependencies,
)

ORDERS = ("", "process", "realtime")
BASES = ("G0", "G1c", "G-single", "G-nonadjacent", "G2-item")
EXAMPLES_MAX = 5
"""For each kind, the maximal number of components of which a cycle is shown."""
COMPONENTS_MAX = 200
"""For each kind, the maximal number of components that are searched for an example."""
SEARCH_STEPS_MAX = 2_000_000
"""For each kind, the maximal number of edges that the search for examples visits."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """A cycle of transactions. Each edge ends where the next one begins."""

    kind: str
    edges: tuple[Edge, ...]

    @property
    def nodes(self) -> tuple[int, ...]:
        """Return the transactions of the cycle, in the order of its edges."""
        return tuple(edge.source for edge in self.edges)


@dataclass(frozen=True, slots=True)
class CyclesFound:
    """The result of a search for cycles.

    `cycles` are examples. `components` contains, for each kind of cycle, the number of strongly
    connected components that show it. `undecided` are the kinds for which the search reached its
    limit.
    """

    cycles: tuple[Cycle, ...]
    components: dict[str, int]
    undecided: tuple[str, ...] = ()


def find_cycles(dependencies: Dependencies, order: str) -> CyclesFound:
    """Find cycles in the graph that consists of `dependencies` and the edges of `order`.

    `order` is the order that the consistency model respects: "" (none), "process" or "realtime",
    which includes "process".
    """
    nodes = np.flatnonzero(dependencies.committed).astype(np.int32)
    everything = Edges.joined([dependencies.edges, dependencies.assumed])
    nodes = _on_cycles(dependencies, nodes, everything, order)
    if not len(nodes):
        return CyclesFound((), {})
    return _Examination(dependencies, nodes, order).run()


def _on_cycles(dependencies: Dependencies, nodes: Nodes, edges: Edges, order: str) -> Nodes:
    """Return those of `nodes` that are on a cycle of `edges` and of the edges of `order`."""
    if not len(nodes):
        return nodes
    timing = Timing(dependencies.transactions, nodes)
    labels = with_order(_within(edges, nodes, len(dependencies.transactions)), timing, order)
    return nodes[(np.bincount(labels) > 1)[labels]]


def _within(edges: Edges, nodes: Nodes, count: int) -> Edges:
    """Return the edges whose two ends are in `nodes`.

    In the result, a transaction is represented by its index in `nodes`. `count` is the number of
    all transactions.
    """
    place = np.full(count, -1, np.int32)
    place[nodes] = np.arange(len(nodes), dtype=np.int32)
    source, target = place[edges.source], place[edges.target]
    inside = (source >= 0) & (target >= 0)
    return Edges(source[inside], target[inside], edges.kind[inside])


class _Examination:
    """Searches for one kind of cycle after another, the worst kind first."""

    def __init__(self, dependencies: Dependencies, nodes: Nodes, order: str) -> None:
        self._order = order
        self._nodes = nodes
        self._timing = Timing(dependencies.transactions, nodes)
        count = len(dependencies.transactions)
        self._edges = _within(dependencies.edges, nodes, count)
        self._assumed = _within(dependencies.assumed, nodes, count)
        self._worst = np.full(len(nodes), len(BASES), np.int64)
        """For each node, the index in BASES of the worst kind that one of its components shows."""
        self._cycles: list[Cycle] = []
        self._components: dict[str, int] = {}
        self._undecided: list[str] = []

    def run(self) -> CyclesFound:
        """Return example cycles of all kinds."""
        for order in ORDERS[: ORDERS.index(self._order) + 1]:
            self._without_antidependencies("G0", order, (WW,))
            self._without_antidependencies("G1c", order, (WW, WR))
            self._with_antidependencies_apart(order)
            self._with_antidependencies(order)
        return CyclesFound(tuple(self._cycles), self._components, tuple(self._undecided))

    def _without_antidependencies(self, base: str, order: str, allowed: tuple[int, ...]) -> None:
        edges = self._edges.where(np.isin(self._edges.kind, allowed))
        members = _groups(with_order(edges, self._timing, order))
        # In a component without G0, each cycle contains a wr.
        required = edges.where(edges.kind == allowed[-1])
        self._examine(base, order, members, edges, required, allowed, "none")

    def _with_antidependencies_apart(self, order: str) -> None:
        edges = self._edges
        plain, anti = edges.where(edges.kind != RW), edges.where(edges.kind == RW)
        labels, after_anti = with_single_antidependencies(plain, anti, self._timing, order)
        anti = anti.where(labels[anti.source] == after_anti[anti.target])
        closed = np.unique(labels[anti.source])
        members = _groups(np.concatenate([labels, after_anti]), closed)
        members = [np.unique(one % len(self._nodes)) for one in members]
        self._examine("G-single", order, members, edges, anti, (WW, WR), "none")
        self._examine("G-nonadjacent", order, members, edges, anti, (WW, WR), "apart")

    def _with_antidependencies(self, order: str) -> None:
        edges = self._edges
        allowed: tuple[int, ...] = (WW, WR, RW)
        if order == self._order:
            edges = Edges.joined([edges, self._assumed])
            allowed = (WW, WR, RW, WW_ASSUMED, RW_ASSUMED)
        members = _groups(with_order(edges, self._timing, order))
        required = edges.where(np.isin(edges.kind, (RW, WW_ASSUMED, RW_ASSUMED)))
        self._examine("G2-item", order, members, edges, required, allowed, "any")

    def _examine(
        self, base: str, order: str, members: list[npt.NDArray[np.int64]],
        edges: Edges, required: Edges, allowed: tuple[int, ...], anti: Anti,
    ) -> None:
        """Search for example cycles of the kind `base` in the components `members`.

        A component is left out if it already shows a worse kind. `edges` are all edges that a cycle
        may contain. A cycle must contain an edge of `required`. All its other edges are of the
        kinds `allowed`, or edges of the order `order`. `anti` says how many anti-dependencies a
        cycle may contain.
        """
        rank = BASES.index(base)
        fresh = [one for one in members if self._worst[one].min() > rank]
        fresh.sort(key=len)
        name = base + (f"-{order}" if order else "")
        shown, budget, examined = 0, SEARCH_STEPS_MAX, 0
        for one in fresh[:COMPONENTS_MAX]:
            if shown >= EXAMPLES_MAX or (budget <= 0 and (shown or base == "G-single")):
                break
            examined += 1
            inside = np.isin(required.source, one) & np.isin(required.target, one)
            web = Web(self._timing, one, edges, order)
            cycle, cost = web.shortest(required.where(inside), allowed, anti, budget)
            budget -= cost
            if cycle is None:
                assert base == "G-single", f"no {name} in a component that must contain one"
                continue
            shown += 1
            kind = _name(cycle, self._order)
            self._worst[one] = np.minimum(self._worst[one], rank)
            self._components[kind] = self._components.get(kind, 0) + 1
            self._cycles.append(Cycle(kind, tuple(
                Edge(int(self._nodes[edge.source]), int(self._nodes[edge.target]), edge.kind)
                for edge in cycle
            )))
        if base == "G-single":
            if not shown and (examined < len(fresh) or budget <= 0):
                self._undecided.append(name)
            return
        for one in fresh:
            self._worst[one] = np.minimum(self._worst[one], rank)
        if len(fresh) > shown:
            self._components[name] = self._components.get(name, 0) + len(fresh) - shown


def _groups(
    labels: Nodes, chosen: Nodes | None = None
) -> list[npt.NDArray[np.int64]]:
    """Return the nodes of each component, given the component number of each node in `labels`.

    `chosen` are the numbers of the components to return. Without `chosen`, all components with
    several nodes are returned.
    """
    if chosen is None:
        chosen = np.flatnonzero(np.bincount(labels) > 1).astype(np.int32)
    inside = np.flatnonzero(np.isin(labels, chosen))
    inside = inside[np.argsort(labels[inside], kind="stable")]
    cuts = np.flatnonzero(np.diff(labels[inside])) + 1
    return [one for one in np.split(inside, cuts) if len(one)]


def _name(edges: list[Edge], order: str) -> str:
    """Return the kind of the cycle of `edges`, such as `G-single-realtime`.

    Some edges are assumed: no read shows them, but they follow from `order`. A cycle with an
    assumed edge contradicts only models that respect `order`. The kind of such a cycle is always
    `G2-item-process` or `G2-item-realtime`.
    """
    kinds = [edge.kind for edge in edges]
    if WW_ASSUMED in kinds or RW_ASSUMED in kinds:
        return f"G2-item-{order}"
    anti = kinds.count(RW)
    if anti == 0:
        base = "G1c" if WR in kinds else "G0"
    elif anti == 1:
        base = "G-single"
    else:
        adjacent = any(
            one == other == RW for one, other in zip(kinds, kinds[1:] + kinds[:1], strict=True)
        )
        base = "G2-item" if adjacent else "G-nonadjacent"
    if REALTIME in kinds:
        return f"{base}-realtime"
    return f"{base}-process" if PROCESS in kinds else base
