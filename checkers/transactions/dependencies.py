"""Defines the dependencies between transactions, as arrays of edges.

Node `i` is the transaction at index `i`. There are three kinds of edges between a source and a
target, each about one key:

    ww   the target wrote the version that follows the version that the source wrote
    wr   the target read the version that the source wrote
    rw   the source read a version, and the target wrote the version that follows it
         (an anti-dependency)

A transaction is *committed* if its outcome is `ok`, or if its outcome is unknown and another
transaction read one of its writes. Only committed transactions have edges.

Source: Adya 1999, section 4.4 (direct serialization graph).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from splitbrain.histories.transaction import Transaction

WW, WR, RW, PROCESS, REALTIME, WW_ASSUMED, RW_ASSUMED = range(7)
KINDS = ("ww", "wr", "rw", "process", "realtime", "ww", "rw")

Nodes = npt.NDArray[np.int32]
Kinds = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Edges:
    """Edges of a graph. Edge `i` goes from `source[i]` to `target[i]` and is of `kind[i]`."""

    source: Nodes
    target: Nodes
    kind: Kinds

    @classmethod
    def none(cls) -> Edges:
        """Return an empty set of edges."""
        return cls(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.uint8))

    @classmethod
    def of(cls, kind: int, source: Sequence[int] | Nodes, target: Sequence[int] | Nodes) -> Edges:
        """Return edges of the kind `kind`. Edge i goes from `source[i]` to `target[i]`.

        Edges from a node to itself, and edges with a negative (missing) node, are left out.
        """
        begin, end = np.asarray(source, np.int32), np.asarray(target, np.int32)
        kept = (begin != end) & (begin >= 0) & (end >= 0)
        begin, end = begin[kept], end[kept]
        return cls(begin, end, np.full(len(begin), kind, np.uint8))

    @classmethod
    def joined(cls, parts: Sequence[Edges]) -> Edges:
        """Return all edges of `parts`."""
        if not parts:
            return cls.none()
        return cls(
            np.concatenate([part.source for part in parts]),
            np.concatenate([part.target for part in parts]),
            np.concatenate([part.kind for part in parts]),
        )

    def where(self, chosen: npt.NDArray[np.bool_]) -> Edges:
        """Return the edges for which `chosen` is True."""
        return Edges(self.source[chosen], self.target[chosen], self.kind[chosen])

    def __len__(self) -> int:
        return len(self.source)


@dataclass(frozen=True, slots=True)
class Found:
    """An anomaly that is not a cycle: its kind, the reason, and the transactions that show it."""

    kind: str
    because: str
    nodes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The dependencies and anomalies that were inferred from a history."""

    transactions: Sequence[Transaction]
    committed: npt.NDArray[np.bool_]
    edges: Edges
    because: Callable[[int, int, int, Callable[[int], str]], str]
    """`because(source, target, kind, name)` explains an edge. `name` names a transaction."""
    found: tuple[Found, ...] = ()
    found_count: dict[str, int] = field(default_factory=dict)
    """The number of anomalies of each kind, including those that `found` does not contain."""
    assumed: Edges = field(default_factory=Edges.none)
    """Further edges, which follow from the order of versions by sessions or by real time. They
    apply only to models that respect this order."""


FOUND_MAX = 20
"""This many anomalies of each kind are kept. Further ones are only counted."""


class Finds:
    """Collects anomalies. The first few of each kind are kept, and all are counted."""

    def __init__(self) -> None:
        self.kept: list[Found] = []
        self.count: dict[str, int] = {}

    def add(self, kind: str, because: str, *nodes: int) -> None:
        seen = self.count[kind] = self.count.get(kind, 0) + 1
        if seen <= FOUND_MAX:
            self.kept.append(Found(kind, because, tuple(dict.fromkeys(nodes))))

    def full(self, kind: str) -> bool:
        """Return whether enough anomalies of this kind were kept, so that more are only counted."""
        return self.count.get(kind, 0) >= FOUND_MAX


class UnusableHistory(ValueError):
    """Raised if no dependencies can be inferred from the history. The message is the reason."""
