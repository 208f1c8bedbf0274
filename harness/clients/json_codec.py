"""etcd's v3 JSON gateway, seen from a client: requests to bodies, answers to results.

Bytes are base64, 64-bit integers are strings, what is zero is left out. The two
requests that make up most of a load are formatted by hand and answers are decoded
into typed structs: about 2 µs each.

Source: etcd's documentation of the gRPC gateway, `rpc.proto`, `kv.proto`.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import msgspec

from splitbrain.histories.kv import (
    Compact,
    CompactResult,
    Compare,
    Delete,
    DeleteResult,
    Header,
    KeyValue,
    Put,
    PutResult,
    Range,
    RangeResult,
    Request,
    Result,
    Txn,
    TxnResult,
)

PUT = "/v3/kv/put"
RANGE = "/v3/kv/range"
DELETE = "/v3/kv/deleterange"
TXN = "/v3/kv/txn"
COMPACT = "/v3/kv/compaction"

COMPARE_TARGETS = {
    "value": ("VALUE", "value"),
    "version": ("VERSION", "version"),
    "create": ("CREATE", "create_revision"),
    "mod": ("MOD", "mod_revision"),
    "lease": ("LEASE", "lease"),
}
COMPARE_RESULTS = {"=": "EQUAL", "!=": "NOT_EQUAL", "<": "LESS", ">": "GREATER"}


# --- requests -----------------------------------------------------------------


def to_bytes(text: str) -> bytes:
    """A key or value as the store holds it."""
    return text.encode("utf-8")


def to_text(data: bytes) -> str:
    """A key or value as a history holds it. A harness writes text alone; bytes that are
    none can only come from a store that spoils them, and then stand as `\\xff`."""
    return data.decode("utf-8", "backslashreplace")


def encode_request(request: Request) -> tuple[str, bytes]:
    """The gateway's path for `request`, and its JSON body."""
    match request:
        case Put(lease=0, prev_kv=False):
            body = b'{"key":"%b","value":"%b"}' % (_b64(request.key), _b64(request.value))
            return PUT, body
        case Range(range_end="", revision=0, limit=0, serializable=False, keys_only=False,
                   count_only=False):
            return RANGE, b'{"key":"%b"}' % _b64(request.key)
    path, wire = _wire(request)
    return path, msgspec.json.encode(wire)


def _b64(text: str) -> bytes:
    return b64encode(text.encode("utf-8"))


def _wire(request: Request) -> tuple[str, dict[str, Any]]:
    match request:
        case Put():
            return PUT, _without_zeros(
                key=to_bytes(request.key), value=to_bytes(request.value),
                lease=_int64(request.lease), prev_kv=request.prev_kv,
            )
        case Range():
            return RANGE, _without_zeros(
                key=to_bytes(request.key), range_end=to_bytes(request.range_end),
                revision=_int64(request.revision), limit=_int64(request.limit),
                serializable=request.serializable, keys_only=request.keys_only,
                count_only=request.count_only, **_sorting(request),
            )
        case Delete():
            return DELETE, _without_zeros(
                key=to_bytes(request.key), range_end=to_bytes(request.range_end),
                prev_kv=request.prev_kv,
            )
        case Compact():
            return COMPACT, _without_zeros(
                revision=_int64(request.revision), physical=request.physical
            )
        case Txn():
            return TXN, _without_zeros(
                compare=[_compare(one) for one in request.compare],
                success=[_branch_request(one) for one in request.success],
                failure=[_branch_request(one) for one in request.failure],
            )


def _sorting(request: Range) -> dict[str, str]:
    """The order is always said with the target: by a target alone etcd sorts what it has cut."""
    if not request.sort_by:
        return {}
    return {
        "sort_order": "DESCEND" if request.descend else "ASCEND",
        "sort_target": request.sort_by.upper(),
    }


def _branch_request(request: Put | Range | Delete | Txn) -> dict[str, Any]:
    _, wire = _wire(request)
    match request:
        case Put():
            return {"request_put": wire}
        case Range():
            return {"request_range": wire}
        case Delete():
            return {"request_delete_range": wire}
        case Txn():
            return {"request_txn": wire}


def _compare(compare: Compare) -> dict[str, Any]:
    target, field = COMPARE_TARGETS[compare.target]
    wire: dict[str, Any] = {
        "key": to_bytes(compare.key),
        "target": target,
        "result": COMPARE_RESULTS[compare.result],
    }
    # The operand is given even where it is zero: which member of the union is set
    # says what is compared.
    operand = compare.operand
    wire[field] = to_bytes(str(operand)) if compare.target == "value" else str(operand)
    if compare.range_end:
        wire["range_end"] = to_bytes(compare.range_end)
    return wire


def _int64(number: int) -> str:
    return str(number) if number else ""


def _without_zeros(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


# --- answers ------------------------------------------------------------------


class _Header(msgspec.Struct):
    cluster_id: int = 0
    member_id: int = 0
    revision: int = 0
    raft_term: int = 0


class _KeyValue(msgspec.Struct):
    key: bytes = b""
    value: bytes = b""
    create_revision: int = 0
    mod_revision: int = 0
    version: int = 0
    lease: int = 0


class _Put(msgspec.Struct):
    header: _Header | None = None
    prev_kv: _KeyValue | None = None


class _Range(msgspec.Struct):
    header: _Header | None = None
    kvs: list[_KeyValue] = []
    count: int = 0
    more: bool = False


class _Delete(msgspec.Struct):
    header: _Header | None = None
    deleted: int = 0
    prev_kvs: list[_KeyValue] = []


class _Response(msgspec.Struct):
    response_put: _Put | None = None
    response_range: _Range | None = None
    response_delete_range: _Delete | None = None
    response_txn: _Txn | None = None


class _Txn(msgspec.Struct):
    header: _Header | None = None
    succeeded: bool = False
    responses: list[_Response] = []


class _Compact(msgspec.Struct):
    header: _Header | None = None


class _Error(msgspec.Struct):
    """etcd 3.5 says both `error` and `message`, 3.4 only `error`."""

    message: str = ""
    error: str = ""
    code: int = 0


_put_decoder = msgspec.json.Decoder(_Put, strict=False)
_range_decoder = msgspec.json.Decoder(_Range, strict=False)
_delete_decoder = msgspec.json.Decoder(_Delete, strict=False)
_txn_decoder = msgspec.json.Decoder(_Txn, strict=False)
_compact_decoder = msgspec.json.Decoder(_Compact, strict=False)
_error_decoder = msgspec.json.Decoder(_Error, strict=False)


def decode_result(request: Request, body: bytes) -> Result:
    """The result that an answer of status 200 to `request` holds.

    Raises msgspec.MsgspecError if `body` is no such answer.
    """
    match request:
        case Put():
            return _put(_put_decoder.decode(body))
        case Range():
            return _range(_range_decoder.decode(body))
        case Delete():
            return _delete(_delete_decoder.decode(body))
        case Txn():
            return _txn(_txn_decoder.decode(body))
        case Compact():
            return CompactResult(_header(_compact_decoder.decode(body).header))


def decode_error(body: bytes) -> str:
    """The message of an answer of another status; its text if it is not the gateway's JSON."""
    try:
        error = _error_decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return body[:200].decode("utf-8", "replace").strip()
    return error.message or error.error


def _header(wire: _Header | None) -> Header:
    if wire is None:
        return Header()
    return Header(wire.revision, wire.member_id, wire.cluster_id, wire.raft_term)


def _key_value(wire: _KeyValue) -> KeyValue:
    return KeyValue(
        to_text(wire.key), to_text(wire.value), wire.create_revision, wire.mod_revision,
        wire.version, wire.lease,
    )


def _put(wire: _Put) -> PutResult:
    previous = wire.prev_kv
    return PutResult(_header(wire.header), None if previous is None else _key_value(previous))


def _range(wire: _Range) -> RangeResult:
    kvs = tuple([_key_value(one) for one in wire.kvs])
    return RangeResult(_header(wire.header), kvs, wire.count, wire.more)


def _delete(wire: _Delete) -> DeleteResult:
    previous = tuple([_key_value(one) for one in wire.prev_kvs])
    return DeleteResult(_header(wire.header), wire.deleted, previous)


def _txn(wire: _Txn) -> TxnResult:
    responses = tuple([_response(one) for one in wire.responses])
    return TxnResult(_header(wire.header), wire.succeeded, responses)


def _response(wire: _Response) -> PutResult | RangeResult | DeleteResult | TxnResult:
    if wire.response_put is not None:
        return _put(wire.response_put)
    if wire.response_range is not None:
        return _range(wire.response_range)
    if wire.response_delete_range is not None:
        return _delete(wire.response_delete_range)
    if wire.response_txn is not None:
        return _txn(wire.response_txn)
    raise msgspec.ValidationError("a response of a transaction is of none of the four kinds")
