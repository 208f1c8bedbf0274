"""Bug: an election reports the owner of the newest key as its leader."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api.wait_queue import WaitQueue
from splitbrain.node.messages.rpc import RangeRequest, SortOrder

MUTANT = Mutant(
    what="a query of the leader is answered with the newest candidate",
    source="etcd's Election.Leader reads the key with the lowest create revision",
    found_by=("election",),
    hunt={"workload": "election"},
)


def plant() -> None:
    def first(self: WaitQueue) -> RangeRequest:
        return self._newest_or_oldest(SortOrder.DESCEND)

    WaitQueue.first = first  # type: ignore[method-assign]
