"""Validates requests before they are passed to Raft.

A member runs the same checks again when it applies a committed request. The second time, the limits
are not checked, because members can have different limits. An invalid committed request must result
in the same error on every member, and must not stop a member.

Source: etcd 3.5.1, `server/etcdserver/api/v3rpc/key.go`.
"""

from __future__ import annotations

from splitbrain.node.messages import errors
from splitbrain.node.messages.rpc import (
    CompactionRequest,
    DeleteRangeRequest,
    PutRequest,
    RangeRequest,
    RequestOp,
    SortOrder,
    SortTarget,
    TxnRequest,
)

_SORT_ORDERS = tuple(SortOrder)
_SORT_TARGETS = tuple(SortTarget)


def check_range(request: RangeRequest) -> None:
    if not request.key:
        raise errors.empty_key()
    # With an unknown order the keys are not sorted, so the sort target does not matter.
    if request.sort_target not in _SORT_TARGETS and request.sort_order in _SORT_ORDERS:
        raise errors.invalid_sort_option()


def check_put(request: PutRequest) -> None:
    if not request.key:
        raise errors.empty_key()
    if request.ignore_value and request.value:
        raise errors.value_provided()
    if request.ignore_lease and request.lease:
        raise errors.lease_provided()


def check_delete_range(request: DeleteRangeRequest) -> None:
    if not request.key:
        raise errors.empty_key()


def check_txn(request: TxnRequest, operations_max: int | None) -> None:
    """Raise RpcError if a transaction is too large, or if one of its operations is invalid.

    The size of a transaction is the largest of these numbers:

    - the number of its comparisons
    - the number of operations of its success branch
    - the number of operations of its failure branch

    The size of a nested transaction is added to the sizes of the transactions that contain it. The
    sum may be at most `operations_max` (None: no limit).
    """
    check_txn_operations(request, operations_max)
    check_overlaps(request.success)
    check_overlaps(request.failure)


def check_txn_operations(request: TxnRequest, operations_max: int | None) -> None:
    count = max(len(request.compare), len(request.success), len(request.failure))
    if operations_max is not None:
        if count > operations_max:
            raise errors.too_many_operations()
        operations_max -= count
    for compare in request.compare:
        if not compare.key:
            raise errors.empty_key()
    for operation in (*request.success, *request.failure):
        check_operation(operation, operations_max)


def check_operation(operation: RequestOp | None, operations_max: int | None) -> None:
    match operation:
        case RangeRequest():
            check_range(operation)
        case PutRequest():
            check_put(operation)
        case DeleteRangeRequest():
            check_delete_range(operation)
        case TxnRequest():
            check_txn_operations(operation, operations_max)
        case None:
            raise errors.key_not_found()


Interval = tuple[bytes, bytes]  # [begin, end)


def check_overlaps(
    operations: tuple[RequestOp | None, ...],
) -> tuple[dict[bytes, None], list[Interval]]:
    """Raise RpcError if a branch can put a key twice, or put a key and delete it.

    Returns the keys that are put and the intervals that are deleted. The caller uses them to check
    the transaction that contains this branch.

    The checks and their order are those of etcd. As in etcd, two conflicts are not noticed:

    - between a put and a deletion of all keys from some key on (end "\\0")
    - between a put of a nested transaction and a deletion of a later nested transaction
    """
    puts: dict[bytes, None] = {}
    deletions = [
        deleted_interval(operation)
        for operation in operations
        if isinstance(operation, DeleteRangeRequest)
    ]
    for operation in operations:
        if isinstance(operation, TxnRequest):
            then_puts, then_deletions = check_overlaps(operation.success)
            else_puts, else_deletions = check_overlaps(operation.failure)
            for key in then_puts:
                check_put_once(key, puts, deletions)
            puts.update(then_puts)
            for key in else_puts:
                # Only one of the two branches runs, so both may put the same key.
                check_put_once(key, {} if key in then_puts else puts, deletions)
            puts.update(else_puts)
            deletions += then_deletions
            deletions += else_deletions
    for operation in operations:
        if isinstance(operation, PutRequest):
            check_put_once(operation.key, puts, deletions)
            puts[operation.key] = None
    return puts, deletions


def deleted_interval(request: DeleteRangeRequest) -> Interval:
    return request.key, request.range_end or request.key + b"\0"


def check_put_once(key: bytes, puts: dict[bytes, None], deletions: list[Interval]) -> None:
    if key in puts or any(begin <= key < end for begin, end in deletions):
        raise errors.duplicate_key()


def is_read_only(request: TxnRequest) -> bool:
    """Return whether the transaction contains only ranges.

    As in etcd, the result is False if the transaction contains a nested transaction.
    """
    return all(
        isinstance(operation, RangeRequest) for operation in (*request.success, *request.failure)
    )


def is_serializable(request: TxnRequest) -> bool:
    """Return whether every operation of the transaction is a serializable range."""
    return all(
        isinstance(operation, RangeRequest) and operation.serializable
        for operation in (*request.success, *request.failure)
    )


def payload_bytes(operation: RequestOp | CompactionRequest | None) -> int:
    """Return the total size of the keys and values in a request, in bytes."""
    match operation:
        case PutRequest():
            return len(operation.key) + len(operation.value)
        case RangeRequest() | DeleteRangeRequest():
            return len(operation.key) + len(operation.range_end)
        case TxnRequest():
            compared = sum(
                len(one.key)
                + len(one.range_end)
                + (len(one.operand) if isinstance(one.operand, bytes) else 0)
                for one in operation.compare
            )
            return compared + sum(
                payload_bytes(one) for one in (*operation.success, *operation.failure)
            )
        case _:
            return 0
