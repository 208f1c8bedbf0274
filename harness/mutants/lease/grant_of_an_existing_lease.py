"""Bug: the grant of a lease that exists is answered with success."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply import store_requests
from splitbrain.node.messages.lease import LeaseGrantRequest, LeaseGrantResponse
from splitbrain.node.messages.rpc import ResponseHeader
from splitbrain.node.mvcc.store import Store

MUTANT = Mutant(
    what="a grant with the id of an existing lease succeeds",
    source="etcd's lessor.Grant, ErrLeaseExists",
    found_by=("lease",),
    hunt={"workload": "lease"},
)


def plant() -> None:
    original = store_requests.apply_grant  # type: ignore[attr-defined]

    def apply_grant(store: Store, request: LeaseGrantRequest) -> LeaseGrantResponse:
        lease = store.leases.get(request.id)
        if lease is None:
            return original(store, request)
        header = ResponseHeader(revision=store.revision)
        return LeaseGrantResponse(header=header, id=lease.id, ttl=lease.ttl_s)

    store_requests.apply_grant = apply_grant  # type: ignore[attr-defined]
