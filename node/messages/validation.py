"""Which requests etcd refuses before they reach raft.

The same checks run again when a committed request is applied (without the limits,
which members may have set apart): what slipped in must fail as a result, alike on
every member, and must not stop one.

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
    # An unknown order sorts nothing, and an unknown target is then never looked at.
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
    """`operations_max` bounds the comparisons and each branch, of this level and of
    those nested in it together (None: no bound)."""
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
    """No key may be put twice, nor put and deleted, on one way through a branch.

    Returns the keys put and the intervals deleted, for the level above. What is
    looked at, and in which order, is etcd's, blind spots included: a deletion "from
    key on" (end "\\0") overlaps nothing, and puts of a nested transaction are not
    held against deletions of one that follows it.
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
                # Only one of the two branches is taken, so both may put a key.
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


def check_request(
    request: RangeRequest | PutRequest | DeleteRangeRequest | TxnRequest | CompactionRequest,
    operations_max: int | None = None,
) -> None:
    """Raises RpcError for a request that etcd would refuse."""
    match request:
        case PutRequest():
            check_put(request)
        case RangeRequest():
            check_range(request)
        case DeleteRangeRequest():
            check_delete_range(request)
        case TxnRequest():
            check_txn(request, operations_max)
        case CompactionRequest():
            pass


def is_read_only(request: TxnRequest) -> bool:
    """Nothing but ranges: a nested transaction counts as a write, as in etcd."""
    return all(
        isinstance(operation, RangeRequest) for operation in (*request.success, *request.failure)
    )


def is_serializable(request: TxnRequest) -> bool:
    """Every range is content with this member's own state."""
    return all(
        isinstance(operation, RangeRequest) and operation.serializable
        for operation in (*request.success, *request.failure)
    )


def payload_bytes(operation: RequestOp | CompactionRequest | None) -> int:
    """The size of the keys and values in a request: what its limit is about."""
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
