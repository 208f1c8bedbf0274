"""Estimates the space that a request needs in the backend, for the space quota.

Source: etcd's `server/etcdserver/quota.go`. etcd does not count the puts of nested transactions.
"""

from __future__ import annotations

from splitbrain.node.messages.lease import LeaseGrantRequest
from splitbrain.node.messages.rpc import PutRequest, RequestOp, TxnRequest

KEY_OVERHEAD_BYTES = 256
"""The estimated size of a change, in bytes, without its key and value."""
LEASE_OVERHEAD_BYTES = 64


def space_cost(request: object) -> int:
    """Return the estimated number of bytes that `request` adds to the backend.

    Only puts, lease grants and transactions need space. The cost of a transaction is the cost of
    its larger branch. The result is 0 for all other requests, such as deletions.
    """
    match request:
        case PutRequest():
            return KEY_OVERHEAD_BYTES + len(request.key) + len(request.value)
        case LeaseGrantRequest():
            return LEASE_OVERHEAD_BYTES
        case TxnRequest():
            return max(_branch_cost(request.success), _branch_cost(request.failure))
        case _:
            return 0


def _branch_cost(operations: tuple[RequestOp | None, ...]) -> int:
    return sum(space_cost(operation) for operation in operations)
