"""Bug: a comparison treats the value of an absent key as an empty value."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply import store_requests
from splitbrain.node.apply.range_read import Readable
from splitbrain.node.messages.rpc import Compare
from splitbrain.node.mvcc.key_value import KeyValue

MUTANT = Mutant(
    what="a comparison with the value of an absent key can succeed",
    source="etcd's server/etcdserver/apply.go, applyCompare: a comparison with the value of an"
    " absent key fails",
    found_by=("mvcc",),
)


def plant() -> None:
    def compare_holds(source: Readable, compare: Compare) -> bool:
        kvs = source.range(compare.key, compare.range_end).kvs or [KeyValue(key=compare.key)]
        return all(store_requests.relation_holds(compare, kv) for kv in kvs)

    store_requests.compare_holds = compare_holds
