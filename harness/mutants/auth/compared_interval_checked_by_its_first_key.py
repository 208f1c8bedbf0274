"""Bug: a comparison with all keys of an interval needs a permission only for the first of them."""

from __future__ import annotations

from msgspec.structs import replace

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.auth import request_permission
from splitbrain.node.auth.auth_store import AuthStore, Identity
from splitbrain.node.messages.rpc import RequestOp, TxnRequest

MUTANT = Mutant(
    what="a comparison with an interval of keys is permitted if its first key may be read",
    source="etcd's apply_auth.go, checkTxnAuth, which checks the range of each comparison",
    found_by=("auth",),
    hunt={"workload": "auth"},
)


def plant() -> None:
    original = request_permission.check_operation

    def check_operation(auth: AuthStore, caller: Identity, operation: RequestOp | None) -> None:
        if isinstance(operation, TxnRequest):
            compare = tuple(replace(one, range_end=b"") for one in operation.compare)
            operation = replace(operation, compare=compare)
        original(auth, caller, operation)

    request_permission.check_operation = check_operation
