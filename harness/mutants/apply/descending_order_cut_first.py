"""A range that is sorted and limited is cut in the order of its keys, and then sorted."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply import range_read
from splitbrain.node.messages.rpc import RangeRequest

MUTANT = Mutant(
    what="the limit of a sorted range is applied before the order",
    source="etcd, applyRange: what is sorted is fetched whole, and cut afterwards",
    found_by=("mvcc",),
)


def plant() -> None:
    def fetch_limit(request: RangeRequest) -> int:
        return request.limit + 1 if request.limit > 0 else 0

    range_read.fetch_limit = fetch_limit
