"""Bug: the revisions of ranges in nested transactions are not checked before the first write."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply import store_requests
from splitbrain.node.messages.rpc import RangeRequest
from splitbrain.node.mvcc.store import Store

MUTANT = Mutant(
    what="a transaction is applied in part if a nested transaction reads a compacted revision",
    source="etcd's checkRequestRange (apply.go), which descends into nested transactions",
    found_by=("mvcc", "invariants"),
)


def plant() -> None:
    def check_chosen_ranges(store: Store, chosen: store_requests.Chosen) -> None:
        for operation in chosen.operations:
            if isinstance(operation, RangeRequest):
                store_requests.check_revision(store, operation.revision)

    store_requests.check_chosen_ranges = check_chosen_ranges
