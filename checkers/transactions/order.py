"""The order in which transactions came, by session and by real time, as few edges.

Real time is an interval order with up to n² pairs. Its edges go by way of *barriers*, one
between any ends and the beginnings that follow them: from a transaction to the first
barrier after its end, from barrier to barrier, from the last barrier before its beginning
to a transaction. At most 3 n edges hold the same paths.
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
    """When the transactions `nodes` began and ended, by indexes of events, and who made them."""

    def __init__(self, transactions: Sequence[Transaction], nodes: Nodes) -> None:
        chosen = [transactions[node] for node in nodes.tolist()]
        self.nodes = nodes
        self.invoked: Times = np.array([one.invoked for one in chosen], np.int64)
        self.returned: Times = np.array(
            [NEVER if one.returned is None else one.returned for one in chosen], np.int64
        )
        self.process: Times = np.array([one.process for one in chosen], np.int64)

    def process_edges(self) -> tuple[Nodes, Nodes]:
        """From each transaction that ended to the next of its process that did, and to those
        without an end in between: they may take effect at any later time. As places in `nodes`.
        """
        order = np.lexsort((self.invoked, self.process))
        ended = self.returned[order] != NEVER
        # Of each place in `order` the last before it that ended.
        last = np.maximum.accumulate(np.where(ended, np.arange(len(order)), -1))
        before = np.concatenate([np.full(1, -1), last[:-1]])
        places = np.flatnonzero(before >= 0)
        source, target = order[before[places]], order[places]
        same = self.process[source] == self.process[target]
        return source[same].astype(np.int32), target[same].astype(np.int32)

    def realtime_edges(self) -> tuple[Nodes, Nodes, int]:
        """Edges between places in `nodes` and barriers, which are numbered from `len(nodes)` on;
        and how many barriers there are."""
        count = len(self.nodes)
        ended = np.flatnonzero(self.returned != NEVER)
        ended = ended[np.argsort(self.returned[ended], kind="stable")]
        before = np.searchsorted(self.returned[ended], self.invoked)
        barriers = np.unique(before[before > 0])
        # The barrier numbered j stands after the first barriers[j] ends.
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
