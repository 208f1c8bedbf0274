"""Bug: a put that keeps the lease of its key creates the key if it does not exist."""

from __future__ import annotations

from msgspec.structs import replace

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply import store_requests
from splitbrain.node.messages.rpc import PutRequest, PutResponse
from splitbrain.node.mvcc.store import Store

MUTANT = Mutant(
    what="a put with ignore_lease succeeds although the key does not exist",
    source="etcd's applierV3backend.Put: ErrKeyNotFound",
    found_by=("mvcc",),
    hunt={"workload": "lease"},
)


def plant() -> None:
    original = store_requests.apply_put

    def apply_put(store: Store, request: PutRequest) -> PutResponse:
        if request.ignore_lease and not store.range(request.key).kvs:
            request = replace(request, ignore_lease=False)
        return original(store, request)

    store_requests.apply_put = apply_put
