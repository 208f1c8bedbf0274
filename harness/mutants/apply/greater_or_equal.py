"""Bug: the comparison 'greater' succeeds for equal values, too."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply import apply
from splitbrain.node.messages.rpc import Compare, CompareResult
from splitbrain.node.mvcc.key_value import KeyValue

MUTANT = Mutant(
    what="'greater' is evaluated as 'greater or equal'",
    source="etcd's api/etcdserverpb/rpc.proto: Compare.CompareResult",
    found_by=("mvcc",),
)


def plant() -> None:
    original = apply.relation_holds

    def relation_holds(compare: Compare, kv: KeyValue) -> bool:
        if compare.result == CompareResult.GREATER:
            return apply.compared(compare, kv) >= 0
        return original(compare, kv)

    apply.relation_holds = relation_holds
