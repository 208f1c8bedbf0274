"""Executes a committed request on the store: `apply(store, operation)`.

The result depends only on the store and the operation, so it is the same on every member. An
operation cannot be executed if, for example, its revision is compacted or a key is missing. The
store then does not change, and `apply` returns an RpcError. It does not raise the error, because a
committed request must not stop a member.

Source: etcd 3.5.1, `server/etcdserver/apply.go`.
"""

from __future__ import annotations

from dataclasses import dataclass

from splitbrain.node.apply.lease_requests import (
    apply_checkpoint,
    apply_expire,
    apply_grant,
    apply_revoke,
)
from splitbrain.node.apply.range_read import Readable, read_range
from splitbrain.node.messages import errors, validation
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.messages.internal_request import OperationResponse, StoreOperation
from splitbrain.node.messages.lease import (
    LeaseCheckpointRequest,
    LeaseExpireRequest,
    LeaseGrantRequest,
    LeaseRevokeRequest,
)
from splitbrain.node.messages.rpc import (
    CompactionRequest,
    CompactionResponse,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRangeRequest,
    DeleteRangeResponse,
    PutRequest,
    PutResponse,
    RangeRequest,
    ResponseHeader,
    ResponseOp,
    TxnRequest,
    TxnResponse,
)
from splitbrain.node.mvcc.key_value import KeyValue
from splitbrain.node.mvcc.revision import CompactedRevision, FutureRevision
from splitbrain.node.mvcc.store import Store
from splitbrain.node.mvcc.write_transaction import WriteTransaction


def apply(store: Store, operation: StoreOperation, term: int = 0) -> OperationResponse | RpcError:
    """Execute `operation` on the store, and return the response, or an RpcError if it fails.

    `term` is the term of the entry that contains the operation. The header of the response contains
    only the revision.
    """
    try:
        match operation:
            case PutRequest():
                validation.check_put(operation)
                return apply_put(store, operation)
            case DeleteRangeRequest():
                validation.check_delete_range(operation)
                return apply_delete_range(store, operation)
            case TxnRequest():
                validation.check_txn(operation, None)
                return apply_txn(store, operation)
            case CompactionRequest():
                return apply_compaction(store, operation)
            case LeaseGrantRequest():
                return apply_grant(store, operation)
            case LeaseRevokeRequest():
                return apply_revoke(store, operation)
            case LeaseExpireRequest():
                return apply_expire(store, operation, term)
            case LeaseCheckpointRequest():
                return apply_checkpoint(store, operation, term)
    except RpcError as refusal:
        return refusal
    except CompactedRevision:
        return errors.compacted()
    except FutureRevision:
        return errors.future_revision()


def apply_put(store: Store, request: PutRequest) -> PutResponse:
    """Put a key at a new revision. Raises RpcError if the put needs a missing key or lease."""
    check_lease(store, request)
    check_previous(store, request)
    transaction = store.write()
    try:
        return put(transaction, request)
    finally:
        transaction.end()


def apply_delete_range(store: Store, request: DeleteRangeRequest) -> DeleteRangeResponse:
    """Delete the keys of an interval, at a new revision if there are any."""
    transaction = store.write()
    try:
        return delete_range(transaction, request)
    finally:
        transaction.end()


def apply_compaction(store: Store, request: CompactionRequest) -> CompactionResponse:
    """Compact the store up to the request's revision. Raises CompactedRevision, FutureRevision."""
    store.compact(request.revision)
    return CompactionResponse(header=ResponseHeader(revision=store.revision))


# --- transactions --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Chosen:
    """The branch of a transaction that is executed. `succeeded` is True for the success branch."""

    succeeded: bool
    operations: tuple[PutRequest | RangeRequest | DeleteRangeRequest | Chosen, ...]


def apply_txn(store: Store, request: TxnRequest) -> TxnResponse:
    """Execute all operations of a transaction's branch. If one cannot be executed, execute none.

    All comparisons and checks, including those of nested transactions, use the state before the
    transaction. They are made before the first write. Raises RpcError if a check fails.
    """
    chosen = chosen_branch(store, request)
    check_chosen(store, chosen)
    transaction = store.write()
    try:
        response = run_chosen(transaction, chosen)
        return TxnResponse(
            header=ResponseHeader(revision=transaction.revision),
            succeeded=response.succeeded,
            responses=response.responses,
        )
    finally:
        transaction.end()


def read_txn(store: Store, request: TxnRequest) -> TxnResponse:
    """Execute a read-only transaction on the current state. Raises RpcError."""
    chosen = chosen_branch(store, request)
    check_chosen(store, chosen)
    responses: list[ResponseOp] = []
    for operation in chosen.operations:
        assert isinstance(operation, RangeRequest), "the caller checks is_read_only first"
        responses.append(read_range(store, operation))
    store.counts.transactions += len(responses) > 1
    return TxnResponse(
        header=ResponseHeader(revision=store.revision),
        succeeded=chosen.succeeded,
        responses=tuple(responses),
    )


def chosen_branch(source: Readable, request: TxnRequest) -> Chosen:
    """Evaluate the comparisons of a transaction, and return the branch to execute.

    Nested transactions in the branch are evaluated, too.
    """
    succeeded = all(compare_holds(source, compare) for compare in request.compare)
    operations: list[PutRequest | RangeRequest | DeleteRangeRequest | Chosen] = []
    for operation in request.success if succeeded else request.failure:
        if isinstance(operation, TxnRequest):
            operations.append(chosen_branch(source, operation))
        elif operation is not None:
            operations.append(operation)
    return Chosen(succeeded, tuple(operations))


def compare_holds(source: Readable, compare: Compare) -> bool:
    """Return whether a comparison succeeds.

    A comparison with an interval succeeds if it succeeds for every key in the interval. If there is
    no key, the comparison is made with an absent key, whose version, revisions and lease are zero.
    A comparison of the value fails if the key is absent.
    """
    kvs = source.range(compare.key, compare.range_end).kvs
    if not kvs:
        return compare.target != CompareTarget.VALUE and relation_holds(
            compare, KeyValue(key=compare.key)
        )
    return all(relation_holds(compare, kv) for kv in kvs)


def relation_holds(compare: Compare, kv: KeyValue) -> bool:
    """Return whether the relation of `compare`, such as "greater", is true for the key `kv`.

    As in etcd, an unknown relation is always true. If the target of `compare` is unknown, both
    sides are treated as equal.
    """
    sign = compared(compare, kv)
    match compare.result:
        case CompareResult.EQUAL:
            return sign == 0
        case CompareResult.NOT_EQUAL:
            return sign != 0
        case CompareResult.GREATER:
            return sign > 0
        case CompareResult.LESS:
            return sign < 0
        case _:
            return True


def compared(compare: Compare, kv: KeyValue) -> int:
    """Compare `kv` with the operand of `compare`. Return -1 (less), 0 (equal) or 1 (greater)."""
    operand = compare.operand
    if compare.target == CompareTarget.VALUE:
        # `compare_operand` has given the operand the right type. A value of another type is treated
        # as empty.
        value = operand if isinstance(operand, bytes) else b""
        return (kv.value > value) - (kv.value < value)
    number = compared_number(compare.target, kv)
    if number is None:
        return 0
    other = operand if isinstance(operand, int) else 0
    return (number > other) - (number < other)


def compared_number(target: int, kv: KeyValue) -> int | None:
    """Return the number of `kv` that `target` names, such as its version.

    Returns None for an unknown target.
    """
    match target:
        case CompareTarget.VERSION:
            return kv.version
        case CompareTarget.CREATE:
            return kv.create_revision
        case CompareTarget.MOD:
            return kv.mod_revision
        case CompareTarget.LEASE:
            return kv.lease
        case _:
            return None


def check_chosen(store: Store, chosen: Chosen) -> None:
    """Raise RpcError if any operation of a branch cannot be executed.

    As in etcd, all puts are checked before all ranges.
    """
    check_chosen_puts(store, chosen, [])
    check_chosen_ranges(store, chosen)


def check_chosen_puts(store: Store, chosen: Chosen, deleted: list[validation.Interval]) -> None:
    """Raise RpcError if a put of the branch needs a missing key or lease.

    `deleted` contains the intervals that earlier operations of the transaction delete. A put that
    keeps the previous value of a key fails if an earlier operation deletes the key. etcd 3.5.1 does
    not check this and panics in the middle of the transaction.
    """
    for operation in chosen.operations:
        match operation:
            case Chosen():
                check_chosen_puts(store, operation, deleted)
            case DeleteRangeRequest():
                deleted.append((operation.key, operation.range_end))
            case PutRequest():
                check_previous(store, operation)
                check_lease(store, operation)
                if wants_previous(operation) and any(
                    in_interval(operation.key, begin, end) for begin, end in deleted
                ):
                    raise errors.key_not_found()
            case RangeRequest():
                pass


def in_interval(key: bytes, begin: bytes, end: bytes) -> bool:
    """Return whether `key` is in the interval from `begin` to `end`.

    If `end` is empty, the interval contains only the key `begin`. If `end` is "\\0", it contains
    all keys from `begin` on.
    """
    if not end:
        return key == begin
    return begin <= key and (end == b"\0" or key < end)


def check_chosen_ranges(store: Store, chosen: Chosen) -> None:
    """Raise RpcError if a range of the branch reads a compacted or a future revision."""
    for operation in chosen.operations:
        match operation:
            case Chosen():
                check_chosen_ranges(store, operation)
            case RangeRequest():
                check_revision(store, operation.revision)
            case _:
                pass


def check_revision(store: Store, revision: int) -> None:
    """Raise RpcError if `revision`, at which a transaction reads, is compacted or in the future.

    In a single range, a negative revision means the newest revision. In a transaction, it is
    refused as compacted, as in etcd.
    """
    if revision > store.revision:
        raise errors.future_revision()
    if revision != 0 and revision < store.compacted_revision:
        raise errors.compacted()


def run_chosen(transaction: WriteTransaction, chosen: Chosen) -> TxnResponse:
    """Execute the operations of a branch, and return the response of the transaction."""
    return TxnResponse(
        succeeded=chosen.succeeded,
        responses=tuple(run_operation(transaction, one) for one in chosen.operations),
    )


def run_operation(
    transaction: WriteTransaction,
    operation: PutRequest | RangeRequest | DeleteRangeRequest | Chosen,
) -> ResponseOp:
    """Execute one operation of a branch inside `transaction`."""
    match operation:
        case PutRequest():
            return put(transaction, operation)
        case RangeRequest():
            return read_range(transaction, operation)
        case DeleteRangeRequest():
            return delete_range(transaction, operation)
        case Chosen():
            return run_chosen(transaction, operation)


# --- single operations, inside a write transaction -------------------------------


def wants_previous(request: PutRequest) -> bool:
    """Return whether the put keeps the previous value or the previous lease of its key."""
    return request.ignore_value or request.ignore_lease


def check_previous(source: Readable, request: PutRequest) -> None:
    """Raise RpcError if the put keeps a previous value or lease, and `source` has no such key."""
    if wants_previous(request) and not source.range(request.key).kvs:
        raise errors.key_not_found()


def check_lease(store: Store, request: PutRequest) -> None:
    """Raise RpcError if the put attaches its key to a lease that does not exist."""
    if request.lease and store.leases.get(request.lease) is None:
        raise errors.lease_not_found()


def put(transaction: WriteTransaction, request: PutRequest) -> PutResponse:
    """Put a key inside `transaction`. The caller has already checked the request."""
    value, lease = request.value, request.lease
    if wants_previous(request):
        (kept,) = transaction.range(request.key).kvs
        value = kept.value if request.ignore_value else value
        lease = kept.lease if request.ignore_lease else lease
    previous = transaction.put(request.key, value, lease)
    return PutResponse(
        header=ResponseHeader(revision=transaction.revision),
        prev_kv=previous if request.prev_kv else None,
    )


def delete_range(transaction: WriteTransaction, request: DeleteRangeRequest) -> DeleteRangeResponse:
    """Delete the keys of an interval inside `transaction`, at the revision of the transaction."""
    previous = transaction.delete_range(request.key, request.range_end)
    return DeleteRangeResponse(
        header=ResponseHeader(revision=transaction.revision),
        deleted=len(previous),
        prev_kvs=tuple(previous) if request.prev_kv else (),
    )
