"""Decodes most JSON requests with msgspec, which is many times faster than
`exact_json_requests`.

A request in the usual form has only known fields, whose names are in snake case. It gives enums by
name. Its numbers have at most 18 digits, and can be in quotes, as grpc-gateway writes them. All
other requests are decoded by `splitbrain.node.api.exact_json_requests`, which reads exactly like Go
and reports the errors of invalid requests. Both decoders return the same value for every request
that this module accepts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from splitbrain.node.messages import rpc

NESTED_MAX = 4
"""The maximal number of levels of nested transactions in the usual form."""

_Number = str | rpc.Int64
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\Z")
_COMPARE_UNION = ("version", "create_revision", "mod_revision", "value", "lease")

# A look-up in a dict is faster than reading an attribute of an enum class, or an enum's value.
_TARGETS = {target.name: target.value for target in rpc.CompareTarget}
_RESULTS = {result.name: result.value for result in rpc.CompareResult}
_SORT_ORDERS = {order.name: order.value for order in rpc.SortOrder}
_SORT_TARGETS = {target.name: target.value for target in rpc.SortTarget}


class Unusual(Exception):
    """The request does not have the usual form."""


class _Compare(Struct, forbid_unknown_fields=True):
    result: Literal["EQUAL", "GREATER", "LESS", "NOT_EQUAL"] = "EQUAL"
    target: Literal["VERSION", "CREATE", "MOD", "VALUE", "LEASE"] = "VERSION"
    key: bytes = b""
    version: _Number | UnsetType = UNSET
    create_revision: _Number | UnsetType = UNSET
    mod_revision: _Number | UnsetType = UNSET
    value: bytes | UnsetType = UNSET
    lease: _Number | UnsetType = UNSET
    range_end: bytes = b""


class _Range(Struct, forbid_unknown_fields=True):
    key: bytes = b""
    range_end: bytes = b""
    limit: _Number = 0
    revision: _Number = 0
    sort_order: Literal["NONE", "ASCEND", "DESCEND"] = "NONE"
    sort_target: Literal["KEY", "VERSION", "CREATE", "MOD", "VALUE"] = "KEY"
    serializable: bool = False
    keys_only: bool = False
    count_only: bool = False
    min_mod_revision: _Number = 0
    max_mod_revision: _Number = 0
    min_create_revision: _Number = 0
    max_create_revision: _Number = 0


class _Txn(Struct, forbid_unknown_fields=True):
    compare: list[_Compare] = []
    success: list[_RequestOp] = []
    failure: list[_RequestOp] = []


class _RequestOp(Struct, forbid_unknown_fields=True):
    request_range: _Range | None = None
    request_put: rpc.PutRequest | None = None
    request_delete_range: rpc.DeleteRangeRequest | None = None
    request_txn: _Txn | None = None


def decode_usual(method: str, body: bytes) -> Any:
    """Decode the body of a request for `method`, such as "/v3/kv/put".

    Returns None if the request does not have the usual form, or is invalid.
    """
    for decode in _DECODERS.get(method, ()):
        try:
            return decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, Unusual):
            continue
    return None


def _number(wire: str | int) -> int:
    if isinstance(wire, int):
        return wire
    if not _INTEGER.match(wire):
        raise Unusual
    return int(wire)


def _range(wire: _Range) -> rpc.RangeRequest:
    return rpc.RangeRequest(
        key=wire.key,
        range_end=wire.range_end,
        limit=_number(wire.limit),
        revision=_number(wire.revision),
        sort_order=_SORT_ORDERS[wire.sort_order],
        sort_target=_SORT_TARGETS[wire.sort_target],
        serializable=wire.serializable,
        keys_only=wire.keys_only,
        count_only=wire.count_only,
        min_mod_revision=_number(wire.min_mod_revision),
        max_mod_revision=_number(wire.max_mod_revision),
        min_create_revision=_number(wire.min_create_revision),
        max_create_revision=_number(wire.max_create_revision),
    )


def _compare(wire: _Compare) -> rpc.Compare:
    union: dict[str, int | bytes] = {}
    for name in _COMPARE_UNION:
        operand = getattr(wire, name)
        if operand is not UNSET:
            # If the request contains several operands, the last one is used.
            union = {name: operand if isinstance(operand, bytes) else _number(operand)}
    target = _TARGETS[wire.target]
    return rpc.Compare(
        key=wire.key,
        result=_RESULTS[wire.result],
        target=target,
        operand=rpc.compare_operand(target, union),
        range_end=wire.range_end,
    )


def _operation(wire: _RequestOp, nested_max: int) -> rpc.RequestOp | None:
    """Return the operation, or None if `wire` contains none.

    Raises Unusual if it contains several. `nested_max` is the number of levels of transactions that
    the operation may contain.
    """
    given: list[rpc.RequestOp] = []
    if wire.request_range is not None:
        given.append(_range(wire.request_range))
    if wire.request_put is not None:
        given.append(wire.request_put)
    if wire.request_delete_range is not None:
        given.append(wire.request_delete_range)
    if wire.request_txn is not None:
        given.append(_txn(wire.request_txn, nested_max - 1))
    if len(given) > 1:
        raise Unusual
    return given[0] if given else None


def _txn(wire: _Txn, nested_max: int = NESTED_MAX) -> rpc.TxnRequest:
    if nested_max < 0:
        raise Unusual
    return rpc.TxnRequest(
        compare=tuple([_compare(one) for one in wire.compare]),
        success=tuple([_operation(one, nested_max) for one in wire.success]),
        failure=tuple([_operation(one, nested_max) for one in wire.failure]),
    )


_decode_range = msgspec.json.Decoder(_Range).decode
_decode_txn = msgspec.json.Decoder(_Txn).decode

_DECODERS: dict[str, tuple[Callable[[bytes], Any], ...]] = {
    "/v3/kv/put": (msgspec.json.Decoder(rpc.PutRequest).decode,),
    "/v3/kv/range": (
        msgspec.json.Decoder(rpc.RangeRequest).decode,
        lambda body: _range(_decode_range(body)),
    ),
    "/v3/kv/deleterange": (msgspec.json.Decoder(rpc.DeleteRangeRequest).decode,),
    "/v3/kv/txn": (lambda body: _txn(_decode_txn(body)),),
}
"""The decoders of each method. They are tried in order until one of them accepts the request."""
