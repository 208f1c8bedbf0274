"""A comparison of a key's version looks at its create revision."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply import apply
from splitbrain.node.messages.rpc import CompareTarget
from splitbrain.node.mvcc.key_value import KeyValue

MUTANT = Mutant(
    what="a transaction's comparison with a version is made with the create revision",
    source="etcd's rpc.proto, Compare: version, create_revision and mod_revision are three things",
    found_by=("mvcc",),
)


def plant() -> None:
    honest = apply.compared_number

    def compared_number(target: int, kv: KeyValue) -> int | None:
        return honest(CompareTarget.CREATE if target == CompareTarget.VERSION else target, kv)

    apply.compared_number = compared_number
