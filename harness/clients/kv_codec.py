"""Encodes requests of the key-value service for etcd's v3 JSON gateway, and decodes the answers.

Most requests of a load are Put and Range, so these are formatted by hand, and answers are decoded
into typed structs. Encoding or decoding takes about 2 µs.

Source: etcd's documentation of the gRPC gateway, `rpc.proto`, `kv.proto`.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import msgspec

from splitbrain.harness.clients.messages import (
    BranchAnswer,
    CompactAnswer,
    DeleteAnswer,
    Error,
    PutAnswer,
    RangeAnswer,
    TxnAnswer,
    history_header,
    history_key_value,
    to_bytes,
)
from splitbrain.histories.kv import (
    Compact,
    CompactResult,
    Compare,
    Delete,
    DeleteResult,
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

ROUTES: dict[type, str] = {Put: PUT, Range: RANGE, Delete: DELETE, Txn: TXN, Compact: COMPACT}
"""Maps each type of request to its path."""

COMPARE_TARGETS = {
    "value": ("VALUE", "value"),
    "version": ("VERSION", "version"),
    "create": ("CREATE", "create_revision"),
    "mod": ("MOD", "mod_revision"),
    "lease": ("LEASE", "lease"),
}
COMPARE_RESULTS = {"=": "EQUAL", "!=": "NOT_EQUAL", "<": "LESS", ">": "GREATER"}


# --- requests -----------------------------------------------------------------


def encode_request(request: Request) -> tuple[str, bytes]:
    """Encode `request`. Returns its path at the gateway and its JSON body."""
    match request:
        case Put(lease=0, prev_kv=False, ignore_lease=False, ignore_value=False):
            body = b'{"key":"%b","value":"%b"}' % (_b64(request.key), _b64(request.value))
            return PUT, body
        case Range(range_end="", revision=0, limit=0, serializable=False, keys_only=False,
                   count_only=False, sort_by="", filtered=False):
            return RANGE, b'{"key":"%b"}' % _b64(request.key)
    path, wire = wire_form(request)
    return path, msgspec.json.encode(wire)


def _b64(text: str) -> bytes:
    return b64encode(to_bytes(text))


def wire_form(request: Request) -> tuple[str, dict[str, Any]]:
    """Return the path of `request` at the gateway, and the fields of its message by name.

    The message is not encoded yet: bytes are bytes, 64-bit integers are strings, and enums are
    names.
    """
    match request:
        case Put():
            return PUT, _without_zeros(
                key=to_bytes(request.key), value=to_bytes(request.value),
                lease=_int64(request.lease), prev_kv=request.prev_kv,
                ignore_lease=request.ignore_lease, ignore_value=request.ignore_value,
            )
        case Range():
            return RANGE, _without_zeros(
                key=to_bytes(request.key), range_end=to_bytes(request.range_end),
                revision=_int64(request.revision), limit=_int64(request.limit),
                serializable=request.serializable, keys_only=request.keys_only,
                count_only=request.count_only, **_sorting(request),
                min_mod_revision=_int64(request.min_mod),
                max_mod_revision=_int64(request.max_mod),
                min_create_revision=_int64(request.min_create),
                max_create_revision=_int64(request.max_create),
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
    """Return the fields `sort_target` and `sort_order` for `request`; {} if it is not sorted.

    If a request contains only `sort_target`, etcd applies the limit before it sorts. Therefore
    `sort_order` is always sent too.
    """
    if not request.sort_by:
        return {}
    return {
        "sort_order": "DESCEND" if request.descend else "ASCEND",
        "sort_target": request.sort_by.upper(),
    }


def _branch_request(request: Put | Range | Delete | Txn) -> dict[str, Any]:
    _, wire = wire_form(request)
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
    # The operand is sent even if it is zero, because etcd takes the thing to compare from the field
    # that is set.
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


ANSWERS: dict[type, Any] = {
    Put: PutAnswer, Range: RangeAnswer, Delete: DeleteAnswer, Txn: TxnAnswer,
    Compact: CompactAnswer,
}
"""Maps each type of request to the type of its answer."""
_DECODERS: dict[type, Any] = {
    request: msgspec.json.Decoder(answer, strict=False) for request, answer in ANSWERS.items()
}
_error_decoder = msgspec.json.Decoder(Error, strict=False)


def decode_result(request: Request, body: bytes) -> Result:
    """Decode `body`, the body of an answer with status 200 to `request`.

    Raises msgspec.MsgspecError if `body` is not an answer to this kind of request.
    """
    return result_of(_DECODERS[type(request)].decode(body))


KvAnswer = PutAnswer | RangeAnswer | DeleteAnswer | TxnAnswer | CompactAnswer


def result_of(wire: KvAnswer) -> Result:
    """Convert an answer to the result that a history records.

    Raises msgspec.ValidationError for an impossible answer.
    """
    match wire:
        case PutAnswer():
            return _put(wire)
        case RangeAnswer():
            return _range(wire)
        case DeleteAnswer():
            return _delete(wire)
        case TxnAnswer():
            return _txn(wire)
        case CompactAnswer():
            return CompactResult(history_header(wire.header))


def decode_error(body: bytes) -> str:
    """Return the error message in `body`, an answer whose status is not 200.

    If `body` is not JSON, its text is returned.
    """
    try:
        error = _error_decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return body[:200].decode("utf-8", "replace").strip()
    return error.message or error.error


def _put(wire: PutAnswer) -> PutResult:
    previous = None if wire.prev_kv is None else history_key_value(wire.prev_kv)
    return PutResult(history_header(wire.header), previous)


def _range(wire: RangeAnswer) -> RangeResult:
    kvs = tuple([history_key_value(one) for one in wire.kvs])
    return RangeResult(history_header(wire.header), kvs, wire.count, wire.more)


def _delete(wire: DeleteAnswer) -> DeleteResult:
    previous = tuple([history_key_value(one) for one in wire.prev_kvs])
    return DeleteResult(history_header(wire.header), wire.deleted, previous)


def _txn(wire: TxnAnswer) -> TxnResult:
    responses = tuple([_response(one) for one in wire.responses])
    return TxnResult(history_header(wire.header), wire.succeeded, responses)


def _response(wire: BranchAnswer) -> PutResult | RangeResult | DeleteResult | TxnResult:
    if wire.response_put is not None:
        return _put(wire.response_put)
    if wire.response_range is not None:
        return _range(wire.response_range)
    if wire.response_delete_range is not None:
        return _delete(wire.response_delete_range)
    if wire.response_txn is not None:
        return _txn(wire.response_txn)
    raise msgspec.ValidationError(
        "a response of a transaction contains no put, range, delete_range or txn"
    )
