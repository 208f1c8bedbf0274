"""Bug: a put with `ignore_value` writes an empty value."""

from __future__ import annotations

from msgspec.structs import replace

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply import store_requests
from splitbrain.node.messages.rpc import PutRequest, PutResponse
from splitbrain.node.mvcc.write_transaction import WriteTransaction

MUTANT = Mutant(
    what="a put with ignore_value replaces the value of the key by an empty one",
    source="etcd's rpc.proto, PutRequest.ignore_value",
    found_by=("mvcc",),
    hunt={"workload": "lease"},
)


def plant() -> None:
    original = store_requests.put

    def put(transaction: WriteTransaction, request: PutRequest) -> PutResponse:
        return original(transaction, replace(request, ignore_value=False))

    store_requests.put = put
