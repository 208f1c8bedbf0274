"""What a history of transactions says of their order, as arrays.

Node `i` is the transaction at place `i`. `ww`: the target's version follows the source's;
`wr`: the target read what the source wrote; `rw`: the source read the version before the
target's. A transaction is *committed* if it is `ok`, or uncertain with a write that
somebody saw; only those have edges.

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
    """Edge `i` goes from `source[i]` to `target[i]` and is of `kind[i]`."""

    source: Nodes
    target: Nodes
    kind: Kinds

    @classmethod
    def none(cls) -> Edges:
        return cls(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.uint8))

    @classmethod
    def of(cls, kind: int, source: Sequence[int] | Nodes, target: Sequence[int] | Nodes) -> Edges:
        """All of one kind, without those from a node to itself, or from or to none (negative)."""
        begin, end = np.asarray(source, np.int32), np.asarray(target, np.int32)
        real = (begin != end) & (begin >= 0) & (end >= 0)
        begin, end = begin[real], end[real]
        return cls(begin, end, np.full(len(begin), kind, np.uint8))

    @classmethod
    def joined(cls, parts: Sequence[Edges]) -> Edges:
        if not parts:
            return cls.none()
        return cls(
            np.concatenate([part.source for part in parts]),
            np.concatenate([part.target for part in parts]),
            np.concatenate([part.kind for part in parts]),
        )

    def where(self, chosen: npt.NDArray[np.bool_]) -> Edges:
        return Edges(self.source[chosen], self.target[chosen], self.kind[chosen])

    def __len__(self) -> int:
        return len(self.source)


@dataclass(frozen=True, slots=True)
class Found:
    """An anomaly that needs no cycle: its kind, why, and the transactions that show it."""

    kind: str
    because: str
    nodes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What was inferred. `because(source, target, kind)` says why an edge of `edges` is there,
    with the names that its last argument gives the two transactions.

    `assumed` are further edges, of versions put in order by sessions or by real time: only
    models that respect this order have them.
    """

    transactions: Sequence[Transaction]
    committed: npt.NDArray[np.bool_]
    edges: Edges
    because: Callable[[int, int, int, Callable[[int], str]], str]
    found: tuple[Found, ...] = ()
    found_count: dict[str, int] = field(default_factory=dict)
    """How many there are of each kind, also past those kept in `found`."""
    assumed: Edges = field(default_factory=Edges.none)


FOUND_MAX = 20
"""Of each kind that are kept in full; further ones are counted."""


class Finds:
    """Gathers anomalies, the first few of each kind in full."""

    def __init__(self) -> None:
        self.kept: list[Found] = []
        self.count: dict[str, int] = {}

    def add(self, kind: str, because: str, *nodes: int) -> None:
        seen = self.count[kind] = self.count.get(kind, 0) + 1
        if seen <= FOUND_MAX:
            self.kept.append(Found(kind, because, tuple(dict.fromkeys(nodes))))

    def full(self, kind: str) -> bool:
        return self.count.get(kind, 0) >= FOUND_MAX


class UnusableHistory(ValueError):
    """A history from which nothing can be inferred: why, and what is expected."""
