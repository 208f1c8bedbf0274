"""Computes the size of a request in protobuf, to which etcd's size limits refer.

Source: the protobuf encoding; etcd's `rpc.proto` and `raft_internal.proto`.
"""

from __future__ import annotations

from splitbrain.node.messages.rpc import (
    CompactionRequest,
    Compare,
    CompareTarget,
    DeleteRangeRequest,
    PutRequest,
    RangeRequest,
    RequestOp,
    TxnRequest,
)

# The size of the InternalRaftRequest around a request: a header with an id of ten bytes, in a field
# whose tag and length need two bytes.
_RAFT_HEADER_BYTES = 2 + 1 + 11


def _varint(number: int) -> int:
    # A negative number is encoded as 64 bits, with seven bits in each byte.
    return 10 if number < 0 else max(1, (number.bit_length() + 6) // 7)


def _data(size: int, tag: int = 1) -> int:
    """Return the encoded size of a field with `size` bytes of content.

    An empty field is omitted. `tag` is the size of the field's tag.
    """
    return tag + _varint(size) + size if size else 0


def _message(size: int) -> int:
    """Return the encoded size of a field with a message of `size` bytes, which can be empty."""
    return 1 + _varint(size) + size


def _number(number: int) -> int:
    return 1 + _varint(number) if number else 0


def _compare_bytes(compare: Compare) -> int:
    operand = compare.operand
    if compare.target == CompareTarget.VALUE and isinstance(operand, bytes):
        union = _message(len(operand))
    else:
        union = 1 + _varint(operand) if isinstance(operand, int) else 0
    return (
        _number(compare.result)
        + _number(compare.target)
        + _data(len(compare.key))
        + union
        + _data(len(compare.range_end), tag=2)
    )


def _operation_bytes(operation: RequestOp | None) -> int:
    return 0 if operation is None else _message(request_bytes(operation))


def request_bytes(request: RequestOp | CompactionRequest) -> int:
    """Return the size of a request as the client sends it, in bytes."""
    match request:
        case PutRequest():
            return (
                _data(len(request.key))
                + _data(len(request.value))
                + _number(request.lease)
                + 2 * (request.prev_kv + request.ignore_value + request.ignore_lease)
            )
        case RangeRequest():
            numbers = (
                request.limit,
                request.revision,
                request.sort_order,
                request.sort_target,
                request.min_mod_revision,
                request.max_mod_revision,
                request.min_create_revision,
                request.max_create_revision,
            )
            flags = request.serializable + request.keys_only + request.count_only
            keys = _data(len(request.key)) + _data(len(request.range_end))
            return keys + sum(map(_number, numbers)) + 2 * flags
        case DeleteRangeRequest():
            keys = _data(len(request.key)) + _data(len(request.range_end))
            return keys + 2 * request.prev_kv
        case TxnRequest():
            compares = sum(_message(_compare_bytes(one)) for one in request.compare)
            return compares + sum(
                _message(_operation_bytes(one)) for one in (*request.success, *request.failure)
            )
        case CompactionRequest():
            return _number(request.revision) + 2 * request.physical


def proposal_bytes(request: RequestOp | CompactionRequest) -> int:
    """Return the size of the log entry in which etcd proposes the request, in bytes."""
    return _RAFT_HEADER_BYTES + _message(request_bytes(request))
