"""Bug: the comparison 'greater' succeeds for equal values, too."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply import store_requests
from splitbrain.node.messages.rpc import Compare, CompareResult
from splitbrain.node.mvcc.key_value import KeyValue

MUTANT = Mutant(
    what="'greater' is evaluated as 'greater or equal'",
    source="etcd's api/etcdserverpb/rpc.proto: Compare.CompareResult",
    found_by=("mvcc",),
)


def plant() -> None:
    original = store_requests.relation_holds

    def relation_holds(compare: Compare, kv: KeyValue) -> bool:
        if compare.result == CompareResult.GREATER:
            return store_requests.compared(compare, kv) >= 0
        return original(compare, kv)

    store_requests.relation_holds = relation_holds
