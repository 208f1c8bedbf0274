"""Bug: a put or a deletion returns previous values that its user may not read."""

from __future__ import annotations

from msgspec.structs import replace

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.auth import request_permission
from splitbrain.node.auth.auth_store import AuthStore, Identity
from splitbrain.node.messages.rpc import DeleteRangeRequest, PutRequest, RequestOp

MUTANT = Mutant(
    what="a user without permission to read keys gets their previous values with a write",
    source="etcd's apply_auth.go: a put or a deletion with prev_kv needs permission to read",
    found_by=("auth",),
    hunt={"workload": "auth"},
)


def plant() -> None:
    original = request_permission.check_operation

    def check_operation(auth: AuthStore, caller: Identity, operation: RequestOp | None) -> None:
        if isinstance(operation, PutRequest | DeleteRangeRequest):
            operation = replace(operation, prev_kv=False)
        original(auth, caller, operation)

    request_permission.check_operation = check_operation
