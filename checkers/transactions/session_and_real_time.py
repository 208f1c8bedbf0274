"""Represents the session order and the real-time order of transactions by few edges.

For n transactions, the real-time order has up to n² pairs. To reduce this number, its edges go
through *barriers*, which are additional nodes. Sort the ends and begins of all transactions by
time. There is a barrier between each group of ends and the begins that follow it. The edges go

- from each transaction to the first barrier after its end,
- from each barrier to the next barrier, and
- from the last barrier before a transaction's begin to that transaction.

These are at most 3 n edges. They reach the same transactions as all pairs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from splitbrain.checkers.transactions.dependencies import Nodes
from splitbrain.histories.transaction import Transaction

NEVER = np.iinfo(np.int64).max
Times = npt.NDArray[np.int64]


class Timing:
    """The times and processes of the transactions `nodes`, for the orders of transactions.

    A begin or an end is the index of an event.
    """

    def __init__(self, transactions: Sequence[Transaction], nodes: Nodes) -> None:
        chosen = [transactions[node] for node in nodes.tolist()]
        self.nodes = nodes
        self.invoked: Times = np.array([one.invoked for one in chosen], np.int64)
        self.returned: Times = np.array(
            [NEVER if one.returned is None else one.returned for one in chosen], np.int64
        )
        self.process: Times = np.array([one.process for one in chosen], np.int64)

    def process_edges(self) -> tuple[Nodes, Nodes]:
        """Return the edges of the session order, as arrays of sources and targets.

        Each transaction that ended has an edge to the next transaction of its process that ended.
        It also has an edge to each transaction between these two, which never ended. No edge begins
        at a transaction that never ended, because it may take effect at any later time. Nodes are
        indexes in `nodes`.
        """
        order = np.lexsort((self.invoked, self.process))
        ended = self.returned[order] != NEVER
        # For each index in `order`, the last one before it that ended.
        last = np.maximum.accumulate(np.where(ended, np.arange(len(order)), -1))
        before = np.concatenate([np.full(1, -1), last[:-1]])
        places = np.flatnonzero(before >= 0)
        source, target = order[before[places]], order[places]
        same = self.process[source] == self.process[target]
        return source[same].astype(np.int32), target[same].astype(np.int32)

    def realtime_edges(self) -> tuple[Nodes, Nodes, int]:
        """Return the edges between transactions and barriers, and the number of barriers.

        Transactions are indexes in `nodes`. Barriers are numbered from `len(nodes)` on.
        """
        count = len(self.nodes)
        ended = np.flatnonzero(self.returned != NEVER)
        ended = ended[np.argsort(self.returned[ended], kind="stable")]
        before = np.searchsorted(self.returned[ended], self.invoked)
        barriers = np.unique(before[before > 0])
        # Barrier j comes directly after the first `barriers[j]` ends.
        to = np.searchsorted(barriers, np.arange(len(ended)), side="right")
        reaches = to < len(barriers)
        waits = np.flatnonzero(before > 0)
        source = np.concatenate([
            ended[reaches],
            count + np.arange(max(len(barriers) - 1, 0)),
            count + np.searchsorted(barriers, before[waits]),
        ])
        target = np.concatenate([
            count + to[reaches],
            count + np.arange(1, max(len(barriers), 1)),
            waits,
        ])
        return source.astype(np.int32), target.astype(np.int32), len(barriers)
