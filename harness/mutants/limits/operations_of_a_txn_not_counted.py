"""Bug: a transaction may contain any number of operations."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.messages import validation
from splitbrain.node.messages.rpc import TxnRequest

MUTANT = Mutant(
    what="a transaction may contain any number of operations",
    source="etcd's api/v3rpc/key.go, checkTxnRequest",
    found_by=("limits",),
    hunt={"workload": "limits"},
)


def plant() -> None:
    original = validation.check_txn

    def check(request: TxnRequest, operations_max: int | None) -> None:
        original(request, None)

    validation.check_txn = check
