"""Finds strongly connected components of the dependency graph, by scipy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from splitbrain.checkers.transactions.dependencies import Edges, Nodes
from splitbrain.checkers.transactions.session_and_real_time import Timing


def components(count: int, parts: Sequence[tuple[Nodes, Nodes]]) -> Nodes:
    """Return for each of `count` nodes the number of its strongly connected component.

    `parts` contains the edges of the graph. Each part is a pair of arrays: the sources and the
    targets of its edges.
    """
    # The import takes a tenth of a second or more, and only histories of transactions need it.
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    source = np.concatenate([part[0] for part in parts]) if parts else np.empty(0, np.int32)
    target = np.concatenate([part[1] for part in parts]) if parts else np.empty(0, np.int32)
    weight = np.ones(len(source), np.int8)
    graph = csr_array((weight, (source, target)), shape=(count, count))
    labels: Nodes = connected_components(graph, directed=True, connection="strong")[1]
    return labels


def with_order(edges: Edges, timing: Timing, order: str) -> Nodes:
    """Return for each node the number of its component, in the graph of `edges` and an order.

    `order` is the order of transactions whose edges are added: "process" (the order in each
    session), "realtime", or "" (none). Nodes are indexes in `timing.nodes`.
    """
    count, parts, barriers = len(timing.nodes), [(edges.source, edges.target)], 0
    if order in ("process", "realtime"):
        parts.append(timing.process_edges())
    if order == "realtime":
        source, target, barriers = timing.realtime_edges()
        parts.append((source, target))
    return components(count + barriers, parts)[:count]


def with_single_antidependencies(
    edges: Edges, anti: Edges, timing: Timing, order: str
) -> tuple[Nodes, Nodes]:
    """Return the components of nodes that are connected by walks without adjacent `anti` edges.

    `anti` contains the anti-dependencies. The graph contains two copies of each node. An edge of
    `edges` or of the order leads to the first copy, and an edge of `anti` leads to the second. No
    edge of `anti` begins at a second copy, so a walk never takes two of them in succession. The
    two returned arrays contain the component of each node's first and second copy.

    If a closed walk of this kind contains an anti-dependency, it contradicts snapshot isolation
    (Cerone and Gotsman 2016).
    """
    count = len(timing.nodes)
    parts = [
        (edges.source, edges.target),
        (edges.source + np.int32(count), edges.target),
        (anti.source, anti.target + np.int32(count)),
    ]
    barriers = 0
    if order in ("process", "realtime"):
        source, target = timing.process_edges()
        parts += [(source, target), (source + np.int32(count), target)]
    if order == "realtime":
        source, target, barriers = timing.realtime_edges()
        to_place = target < count
        from_place = source < count
        beyond = np.int32(count)
        source = np.where(from_place, source, source + beyond).astype(np.int32)
        target = np.where(to_place, target, target + beyond).astype(np.int32)
        parts += [(source, target), (source[from_place] + beyond, target[from_place])]
    labels = components(2 * count + barriers, parts)
    return labels[:count], labels[count : 2 * count]
