"""Bug: a comparison of a key's version uses its create revision."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply import store_requests
from splitbrain.node.messages.rpc import CompareTarget
from splitbrain.node.mvcc.key_value import KeyValue

MUTANT = Mutant(
    what="a version comparison in a transaction uses the create revision",
    source="etcd's rpc.proto, Compare: version, create_revision and mod_revision are different"
    " targets",
    found_by=("mvcc",),
)


def plant() -> None:
    original = store_requests.compared_number

    def compared_number(target: int, kv: KeyValue) -> int | None:
        return original(CompareTarget.CREATE if target == CompareTarget.VERSION else target, kv)

    store_requests.compared_number = compared_number
