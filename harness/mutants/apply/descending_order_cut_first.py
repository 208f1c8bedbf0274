"""Bug: the limit of a sorted range is applied before the sort, not after it."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply import range_read
from splitbrain.node.messages.rpc import RangeRequest

MUTANT = Mutant(
    what="the limit of a sorted range is applied before the sort",
    source="etcd's applyRange: a sorted range is fetched completely and cut afterwards",
    found_by=("mvcc",),
)


def plant() -> None:
    def fetch_limit(request: RangeRequest) -> int:
        return request.limit + 1 if request.limit > 0 else 0

    range_read.fetch_limit = fetch_limit
