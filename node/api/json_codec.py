"""Converts requests from JSON and responses to JSON, byte for byte like etcd's gateway.

Requests: `splitbrain.node.api.fast_json_requests` decodes most requests fast. It does not accept
these requests:

- requests in which an enum is a number
- requests with names in camel case
- requests with unknown fields
- invalid requests

`splitbrain.node.api.exact_json_requests` decodes them, and reads JSON exactly like Go. Both
decoders return the same value for every request that the fast decoder accepts.

Responses: fields are in the order of the protobuf definition, and fields with default values are
omitted. Bytes are base64, 64-bit integers are strings, enums are names, and text is escaped as in
Go.

Source: grpc-gateway 1.16 with `OrigName`, golang/protobuf 1.5.2 `jsonpb`; compared with etcd 3.5.1.
"""

from __future__ import annotations

import http
from collections.abc import Callable
from typing import Any

from splitbrain.node.api import exact_json_requests, go_json
from splitbrain.node.api.fast_json_requests import decode_usual
from splitbrain.node.api.go_json import GoJsonError, Incomplete
from splitbrain.node.api.json_text import array, base64, flag, int64, object_of, text
from splitbrain.node.api.methods import BY_KEY
from splitbrain.node.messages import rpc
from splitbrain.node.messages.errors import Code, RpcError
from splitbrain.node.mvcc.key_value import Event, EventType, KeyValue

# --- requests ------------------------------------------------------------------

_READERS: dict[str, exact_json_requests.Message] = {
    "/v3/kv/put": exact_json_requests.PUT,
    "/v3/kv/range": exact_json_requests.RANGE,
    "/v3/kv/deleterange": exact_json_requests.DELETE_RANGE,
    "/v3/kv/txn": exact_json_requests.TXN,
    "/v3/watch": exact_json_requests.WATCH,
}
"""The readers of the most frequent messages, and of messages with a protobuf oneof.

`json_from_proto` creates the readers of all other messages from their definitions.
"""


def _reader(method: str) -> exact_json_requests.Message:
    reader = _READERS.get(method)
    if reader is None:
        # The definitions are imported only if they are needed, because the import is slow.
        from splitbrain.node.api.json_from_proto import request_reader

        reader = _READERS[method] = request_reader(BY_KEY[method])
    return reader


def decode_request(method: str, body: bytes) -> Any:
    """Decode the body of an HTTP request for `method`, such as "/v3/kv/put".

    Raises RpcError (INVALID_ARGUMENT, with Go's message) if the body is invalid.
    """
    usual = decode_usual(method, body)
    return _decode_exactly(_reader(method), body) if usual is None else usual


def _decode_exactly(reader: exact_json_requests.Message, body: bytes) -> Any:
    try:
        span = go_json.first_value(body)
        raw = b"null" if span is None else body[span[0] : span[1]]
        return reader.read(raw, 0)
    except GoJsonError as problem:
        raise RpcError(Code.INVALID_ARGUMENT, str(problem)) from None


class StreamRequests:
    """Decodes the requests of a stream from a body that arrives in pieces.

    `method` is the route of the stream, such as "/v3/watch". `bytes_max` limits the size of an
    incomplete request, which has to be kept in memory.
    """

    def __init__(self, method: str, bytes_max: int) -> None:
        self._read = _reader(method).read
        self._rest = b""
        self._bytes_max = bytes_max

    def feed(self, data: bytes) -> list[Any]:
        """Add a piece of the body, and return the requests that end in it.

        A request that has no value for its oneof, such as a watch request that neither creates nor
        cancels a watch, is skipped. An invalid request raises RpcError with Go's message and the
        code UNKNOWN, which the gateway uses for all errors of a stream.
        """
        self._rest += data
        found: list[Any] = []
        at = 0
        try:
            while (span := self._next(at)) is not None:
                at = span[1]
                request = self._read(self._rest[span[0] : at], 0)
                if request is not None:
                    found.append(request)
        except GoJsonError as problem:
            raise RpcError(Code.UNKNOWN, str(problem)) from None
        self._rest = self._rest[at:]
        if len(self._rest) > self._bytes_max:
            raise RpcError(
                Code.RESOURCE_EXHAUSTED,
                f"stream request is larger than {self._bytes_max} bytes",
            )
        return found

    def _next(self, at: int) -> tuple[int, int] | None:
        try:
            return go_json.first_value(self._rest, at)
        except Incomplete:
            return None


# --- responses -----------------------------------------------------------------


def _header(header: rpc.ResponseHeader) -> str:
    if header.cluster_id and header.member_id and header.revision and header.raft_term:
        return (
            f'"header":{{"cluster_id":"{header.cluster_id}","member_id":"{header.member_id}",'
            f'"revision":"{header.revision}","raft_term":"{header.raft_term}"}}'
        )
    return '"header":' + object_of(
        int64("cluster_id", header.cluster_id),
        int64("member_id", header.member_id),
        int64("revision", header.revision),
        int64("raft_term", header.raft_term),
    )


def _key_value(kv: KeyValue) -> str:
    if (
        kv.key and kv.value and not kv.lease
        and kv.create_revision and kv.mod_revision and kv.version
    ):
        return (
            f'{{"key":"{base64(kv.key)}","create_revision":"{kv.create_revision}",'
            f'"mod_revision":"{kv.mod_revision}","version":"{kv.version}",'
            f'"value":"{base64(kv.value)}"}}'
        )
    return object_of(
        f'"key":"{base64(kv.key)}"' if kv.key else "",
        int64("create_revision", kv.create_revision),
        int64("mod_revision", kv.mod_revision),
        int64("version", kv.version),
        f'"value":"{base64(kv.value)}"' if kv.value else "",
        int64("lease", kv.lease),
    )


def _prev_kv(kv: KeyValue | None) -> str:
    return "" if kv is None else '"prev_kv":' + _key_value(kv)


def _put(response: rpc.PutResponse) -> str:
    return object_of(_header(response.header), _prev_kv(response.prev_kv))


def _range(response: rpc.RangeResponse) -> str:
    return object_of(
        _header(response.header),
        array("kvs", [_key_value(kv) for kv in response.kvs]),
        flag("more", response.more),
        int64("count", response.count),
    )


def _delete_range(response: rpc.DeleteRangeResponse) -> str:
    return object_of(
        _header(response.header),
        int64("deleted", response.deleted),
        array("prev_kvs", [_key_value(kv) for kv in response.prev_kvs]),
    )


def _response_op(response: rpc.ResponseOp) -> str:
    match response:
        case rpc.PutResponse():
            return f'{{"response_put":{_put(response)}}}'
        case rpc.RangeResponse():
            return f'{{"response_range":{_range(response)}}}'
        case rpc.DeleteRangeResponse():
            return f'{{"response_delete_range":{_delete_range(response)}}}'
        case rpc.TxnResponse():
            return f'{{"response_txn":{_txn(response)}}}'


def _txn(response: rpc.TxnResponse) -> str:
    return object_of(
        _header(response.header),
        flag("succeeded", response.succeeded),
        array("responses", [_response_op(one) for one in response.responses]),
    )


_PUT = EventType.PUT


def _event(event: Event) -> str:
    if event.type is _PUT and event.previous is None:
        return f'{{"kv":{_key_value(event.kv)}}}'
    return object_of(
        '"type":"DELETE"' if event.type == EventType.DELETE else "",
        '"kv":' + _key_value(event.kv),
        _prev_kv(event.previous),
    )


def _watch(response: rpc.WatchResponse) -> str:
    return object_of(
        _header(response.header),
        int64("watch_id", response.watch_id),
        flag("created", response.created),
        flag("canceled", response.canceled),
        int64("compact_revision", response.compact_revision),
        f'"cancel_reason":{text(response.cancel_reason)}' if response.cancel_reason else "",
        flag("fragment", response.fragment),
        array("events", [_event(event) for event in response.events]),
    )


_WRITERS: dict[type, Callable[[Any], str]] = {
    rpc.PutResponse: _put,
    rpc.RangeResponse: _range,
    rpc.DeleteRangeResponse: _delete_range,
    rpc.TxnResponse: _txn,
    rpc.WatchResponse: _watch,
}
"""The writers of the most frequent messages, and of messages with a protobuf oneof.

`json_from_proto` creates the writers of all other messages from their definitions.
"""


def _json(response: Any) -> str:
    writer = _WRITERS.get(type(response))
    if writer is None:
        from splitbrain.node.api.json_from_proto import response_writer

        writer = _WRITERS[type(response)] = response_writer(type(response))
    return writer(response)


def encode_response(response: Any) -> bytes:
    """Return the HTTP body of a response."""
    return _json(response).encode()


def encode_stream_line(response: Any) -> bytes:
    """Return one line of the HTTP body of a stream: a response in JSON, and a line end."""
    return f'{{"result":{_json(response)}}}\n'.encode()


def encode_stream_error(error: RpcError) -> bytes:
    """Return the last line of a stream that fails after its first response.

    Source: grpc-gateway 1.16, `handleForwardResponseStreamError`.
    """
    status = http.HTTPStatus(error.http_status)
    return (
        f'{{"error":{{"grpc_code":{int(error.code)},"http_code":{int(status)},'
        f'"message":{text(error.message)},"http_status":"{status.phrase}"}}}}\n'
    ).encode()


def encode_error(error: RpcError) -> bytes:
    """Return the HTTP body of an error. It contains the message twice, as in the gateway."""
    message = text(error.message)
    return f'{{"error":{message},"code":{int(error.code)},"message":{message}}}'.encode()
