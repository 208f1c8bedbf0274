"""Decides whether a user may execute a request of the services KV and Lease.

Source: etcd 3.5.1, `server/etcdserver/apply_auth.go`. etcd does not check the operations of nested
transactions, nor the previous values that puts of transactions return. This module checks both.
"""

from __future__ import annotations

from collections.abc import Iterable

from splitbrain.node.auth.auth_store import AuthStore, Identity
from splitbrain.node.messages.lease import LeaseRevokeRequest
from splitbrain.node.messages.rpc import (
    DeleteRangeRequest,
    PutRequest,
    RangeRequest,
    RequestOp,
    TxnRequest,
)
from splitbrain.node.mvcc.store import Store


def check_access(auth: AuthStore, store: Store, caller: Identity, request: object) -> None:
    """Raise RpcError unless `caller` may execute a request of the services KV and Lease.

    As in etcd, every user may compact the store and grant leases.
    """
    if not auth.enabled:
        return
    match request:
        case PutRequest() | RangeRequest() | DeleteRangeRequest() | TxnRequest():
            check_operation(auth, caller, request)
            if isinstance(request, PutRequest) and request.lease:
                check_lease_keys(auth, store, caller, request.lease)
        case LeaseRevokeRequest():
            check_lease_keys(auth, store, caller, request.id)


def check_operation(auth: AuthStore, caller: Identity, operation: RequestOp | None) -> None:
    """Raise RpcError unless `caller` may execute `operation`, and all operations nested in it."""
    match operation:
        case RangeRequest():
            auth.check_read(caller, operation.key, operation.range_end)
        case PutRequest():
            auth.check_write(caller, operation.key)
            if operation.prev_kv:
                auth.check_read(caller, operation.key)
        case DeleteRangeRequest():
            auth.check_write(caller, operation.key, operation.range_end)
            if operation.prev_kv:
                auth.check_read(caller, operation.key, operation.range_end)
        case TxnRequest():
            for compare in operation.compare:
                auth.check_read(caller, compare.key, compare.range_end)
            check_operations(auth, caller, operation.success)
            check_operations(auth, caller, operation.failure)


def check_operations(
    auth: AuthStore, caller: Identity, operations: Iterable[RequestOp | None]
) -> None:
    """Raise RpcError unless `caller` may execute all `operations`."""
    for operation in operations:
        check_operation(auth, caller, operation)


def check_lease_keys(auth: AuthStore, store: Store, caller: Identity, lease_id: int) -> None:
    """Raise RpcError unless the caller may write all keys of a lease.

    When a lease ends, all its keys are deleted. The check is made for a user who revokes the lease.
    As in etcd, it is also made for a user who attaches another key to the lease.
    """
    lease = store.leases.get(lease_id)
    for key in sorted(lease.keys) if lease is not None else ():
        auth.check_write(caller, key)
