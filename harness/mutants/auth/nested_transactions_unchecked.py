"""Bug: the operations of a nested transaction need no permission."""

from __future__ import annotations

from collections.abc import Iterable

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.auth import request_permission
from splitbrain.node.auth.auth_store import AuthStore, Identity
from splitbrain.node.messages.rpc import RequestOp, TxnRequest

MUTANT = Mutant(
    what="the operations of a nested transaction need no permission",
    source="etcd 3.5.1, apply_auth.go, which does not check nested transactions",
    found_by=("auth",),
    hunt={"workload": "auth"},
)


def plant() -> None:
    original = request_permission.check_operations

    def check(auth: AuthStore, caller: Identity, operations: Iterable[RequestOp | None]) -> None:
        kept = [one for one in operations if not isinstance(one, TxnRequest)]
        original(auth, caller, kept)

    request_permission.check_operations = check
