"""Encodes requests of the key-value service for etcd's v3 JSON gateway, and decodes the answers.

Requests and answers are typed structs, so that encoding or decoding takes 1 to 4 µs.

Source: etcd's documentation of the gRPC gateway, `rpc.proto`, `kv.proto`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from splitbrain.harness.clients.json_messages import (
    BranchAnswer,
    CompactAnswer,
    DeleteAnswer,
    Error,
    PutAnswer,
    RangeAnswer,
    TxnAnswer,
    history_header,
    history_key_value,
)
from splitbrain.harness.clients.request_messages import (
    BranchMessage,
    CompactMessage,
    CompareMessage,
    DeleteMessage,
    KvMessage,
    PutMessage,
    RangeMessage,
    TxnMessage,
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
    "value": "VALUE", "version": "VERSION", "create": "CREATE", "mod": "MOD", "lease": "LEASE",
}
COMPARE_RESULTS = {"=": "EQUAL", "!=": "NOT_EQUAL", "<": "LESS", ">": "GREATER"}


# --- requests -----------------------------------------------------------------


def encode_request(request: Request) -> tuple[str, bytes]:
    """Encode `request`. Returns its path at the gateway and its JSON body."""
    return ROUTES[type(request)], _encode(wire_form(request))


_encode = msgspec.json.Encoder().encode


def wire_form(request: Request) -> KvMessage:
    """Return the message of `request`. `ROUTES` contains the path to which it is sent."""
    make: Callable[[Any], KvMessage] = _MESSAGES[type(request)]
    return make(request)


def _put_message(put: Put) -> PutMessage:
    return PutMessage(
        put.key.encode(), put.value.encode(), _int64(put.lease), put.prev_kv,
        ignore_value=put.ignore_value, ignore_lease=put.ignore_lease,
    )


def _range_message(read: Range) -> RangeMessage:
    """Convert a range to its message.

    If a request contains only `sort_target`, etcd applies the limit before it sorts. Therefore
    `sort_order` is always sent too.
    """
    message = RangeMessage(
        read.key.encode(), read.range_end.encode(), _int64(read.limit), _int64(read.revision),
        serializable=read.serializable, keys_only=read.keys_only, count_only=read.count_only,
    )
    if read.sort_by:
        message.sort_order = "DESCEND" if read.descend else "ASCEND"
        message.sort_target = read.sort_by.upper()
    if read.filtered:
        message.min_mod_revision = _int64(read.min_mod)
        message.max_mod_revision = _int64(read.max_mod)
        message.min_create_revision = _int64(read.min_create)
        message.max_create_revision = _int64(read.max_create)
    return message


def _delete_message(delete: Delete) -> DeleteMessage:
    return DeleteMessage(delete.key.encode(), delete.range_end.encode(), delete.prev_kv)


def _compact_message(compact: Compact) -> CompactMessage:
    return CompactMessage(_int64(compact.revision), compact.physical)


def _txn_message(txn: Txn) -> TxnMessage:
    return TxnMessage(
        [_compare_message(one) for one in txn.compare], _branch(txn.success), _branch(txn.failure)
    )


def _branch(requests: Sequence[Put | Range | Delete | Txn]) -> list[BranchMessage]:
    messages = []
    for one in requests:
        if type(one) is Put:
            messages.append(BranchMessage(request_put=_put_message(one)))
        elif type(one) is Range:
            messages.append(BranchMessage(request_range=_range_message(one)))
        elif type(one) is Delete:
            messages.append(BranchMessage(request_delete_range=_delete_message(one)))
        else:
            assert type(one) is Txn
            messages.append(BranchMessage(request_txn=_txn_message(one)))
    return messages


def _compare_message(compare: Compare) -> CompareMessage:
    target = compare.target
    message = CompareMessage(
        COMPARE_RESULTS[compare.result], COMPARE_TARGETS[target], compare.key.encode(),
        compare.range_end.encode(),
    )
    operand = str(compare.operand)
    if target == "value":
        message.value = operand.encode()
    elif target == "mod":
        message.mod_revision = operand
    elif target == "create":
        message.create_revision = operand
    elif target == "version":
        message.version = operand
    else:
        message.lease = operand
    return message


def _int64(number: int) -> str:
    return str(number) if number else ""


_MESSAGES: dict[type, Callable[[Any], KvMessage]] = {
    Put: _put_message, Range: _range_message, Delete: _delete_message, Txn: _txn_message,
    Compact: _compact_message,
}


# --- answers ------------------------------------------------------------------


ANSWERS: dict[type, Any] = {
    Put: PutAnswer, Range: RangeAnswer, Delete: DeleteAnswer, Txn: TxnAnswer,
    Compact: CompactAnswer,
}
"""Maps each type of request to the type of its answer."""
_DECODERS: dict[type, Any] = {
    request: msgspec.json.Decoder(answer, strict=False).decode
    for request, answer in ANSWERS.items()
}
_error_decoder = msgspec.json.Decoder(Error, strict=False)


def decode_result(request: Request, body: bytes) -> Result:
    """Decode `body`, the body of an answer with status 200 to `request`.

    Raises msgspec.MsgspecError if `body` is not an answer to this kind of request.
    """
    return result_of(_DECODERS[type(request)](body))


KvAnswer = PutAnswer | RangeAnswer | DeleteAnswer | TxnAnswer | CompactAnswer


def result_of(wire: KvAnswer) -> Result:
    """Convert an answer to the result that a history records.

    Raises msgspec.ValidationError for an impossible answer.
    """
    make: Callable[[Any], Result] = _RESULTS[type(wire)]
    return make(wire)


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


def _compact(wire: CompactAnswer) -> CompactResult:
    return CompactResult(history_header(wire.header))


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


_RESULTS: dict[type, Callable[[Any], Result]] = {
    PutAnswer: _put, RangeAnswer: _range, DeleteAnswer: _delete, TxnAnswer: _txn,
    CompactAnswer: _compact,
}
