"""Bug: a put with `ignore_value` inside a transaction writes an empty value."""

from __future__ import annotations

from msgspec.structs import replace

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply import store_requests
from splitbrain.node.apply.store_requests import Chosen
from splitbrain.node.messages.rpc import (
    DeleteRangeRequest,
    PutRequest,
    RangeRequest,
    ResponseOp,
)
from splitbrain.node.mvcc.write_transaction import WriteTransaction

MUTANT = Mutant(
    what="a put with ignore_value inside a transaction replaces the value of the key by an empty"
    " one",
    source="etcd's rpc.proto, PutRequest.ignore_value; apply.go, applyTxn",
    found_by=("mvcc",),
)


def plant() -> None:
    lose_flag("ignore_value")


def lose_flag(flag: str) -> None:
    """Set a flag of each put inside a transaction to False."""
    original = store_requests.run_operation

    def run_operation(
        transaction: WriteTransaction,
        operation: PutRequest | RangeRequest | DeleteRangeRequest | Chosen,
    ) -> ResponseOp:
        if isinstance(operation, PutRequest):
            operation = replace(operation, **{flag: False})
        return original(transaction, operation)

    store_requests.run_operation = run_operation
