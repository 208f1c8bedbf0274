"""Bug: a put that keeps the lease of its key detaches the key from the lease."""

from __future__ import annotations

from msgspec.structs import replace

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply import store_requests
from splitbrain.node.messages.rpc import PutRequest, PutResponse
from splitbrain.node.mvcc.write_transaction import WriteTransaction

MUTANT = Mutant(
    what="a put with ignore_lease detaches the key from its lease",
    source="etcd's rpc.proto, PutRequest.ignore_lease",
    found_by=("mvcc",),
    hunt={"workload": "lease"},
)


def plant() -> None:
    original = store_requests.put

    def put(transaction: WriteTransaction, request: PutRequest) -> PutResponse:
        return original(transaction, replace(request, ignore_lease=False))

    store_requests.put = put
