"""Applies committed requests of the Lease service to the store.

Source: etcd 3.5.1, `server/etcdserver/apply.go` and `server/lease/lessor.go`.
"""

from __future__ import annotations

from splitbrain.node.messages import errors
from splitbrain.node.messages.lease import (
    TTL_S_MAX,
    LeaseCheckpointRequest,
    LeaseCheckpointResponse,
    LeaseExpireRequest,
    LeaseGrantRequest,
    LeaseGrantResponse,
    LeaseRevokeRequest,
    LeaseRevokeResponse,
)
from splitbrain.node.messages.rpc import ResponseHeader
from splitbrain.node.mvcc.lease_table import Lease
from splitbrain.node.mvcc.store import Store


def apply_grant(store: Store, request: LeaseGrantRequest) -> LeaseGrantResponse:
    """Create a lease. Raises RpcError if the id is in use."""
    if not request.id:
        raise errors.lease_not_found()
    if request.ttl > TTL_S_MAX:
        raise errors.lease_ttl_too_large()
    if store.leases.get(request.id) is not None:
        raise errors.lease_exists()
    lease = store.leases.grant(request.id, request.ttl)
    header = ResponseHeader(revision=store.revision)
    return LeaseGrantResponse(header=header, id=lease.id, ttl=lease.ttl_s)


def apply_revoke(store: Store, request: LeaseRevokeRequest) -> LeaseRevokeResponse:
    """Delete a lease and its keys. Raises RpcError if the lease does not exist."""
    lease = store.leases.get(request.id)
    if lease is None:
        raise errors.lease_not_found()
    end_lease(store, lease)
    return LeaseRevokeResponse(header=ResponseHeader(revision=store.revision))


def apply_expire(store: Store, request: LeaseExpireRequest, term: int) -> LeaseRevokeResponse:
    """Delete an expired lease and its keys.

    `term` is the term of the entry. The request is ignored if another leader than the one that
    proposed it has appended it to the log (`is_of_term`).
    """
    lease = store.leases.get(request.id)
    if lease is not None and is_of_term(request, term):
        end_lease(store, lease)
    return LeaseRevokeResponse(header=ResponseHeader(revision=store.revision))


def apply_checkpoint(
    store: Store, request: LeaseCheckpointRequest, term: int
) -> LeaseCheckpointResponse:
    """Record the remaining times to live of leases.

    `term` is the term of the entry. The request is ignored if another leader than the one that
    proposed it has appended it to the log (`is_of_term`).
    """
    if is_of_term(request, term):
        for one in request.checkpoints:
            store.leases.record_remaining(one.id, one.remaining_s)
    return LeaseCheckpointResponse(header=ResponseHeader(revision=store.revision))


def is_of_term(request: LeaseExpireRequest | LeaseCheckpointRequest, term: int) -> bool:
    """Return whether the leader that proposed the request also appended it to the log.

    `term` is the term of the entry. A deposed leader forwards its proposal to the new leader, which
    then appends it. In the meantime, the new leader may have renewed the lease.
    """
    return request.term == term


def end_lease(store: Store, lease: Lease) -> None:
    """Delete the keys of a lease at one revision, in the order of the keys, and remove the lease.

    The order is the same on all members, so their changes and hashes are equal. If the lease has no
    keys, the revision does not change.
    """
    transaction = store.write()
    for key in sorted(lease.keys):
        transaction.delete_range(key)
    transaction.end()
    store.leases.remove(lease.id)
