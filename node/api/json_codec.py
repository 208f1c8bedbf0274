"""Converts requests from JSON and responses to JSON, byte for byte like etcd's gateway.

Requests: `splitbrain.node.api.usual_request` decodes requests in the usual form.
`splitbrain.node.api.json_reader`, which reads exactly like Go, decodes all others: numbers of
enums, camel case, unknown fields, and invalid requests. The two agree on every request that the
first one accepts.

Responses: fields are in the order of the protobuf definition, without defaults. Bytes are base64,
64-bit integers are strings, enums are names, and text is escaped as in Go.

Source: grpc-gateway 1.16 with `OrigName`, golang/protobuf 1.5.2 `jsonpb`; compared with etcd 3.5.1.
"""

from __future__ import annotations

import http
import re
from binascii import b2a_base64
from collections.abc import Callable
from typing import Any

from splitbrain.node.api import go_json, json_reader
from splitbrain.node.api.go_json import GoJsonError, Incomplete
from splitbrain.node.api.usual_request import decode_usual
from splitbrain.node.messages import rpc
from splitbrain.node.messages.errors import Code, RpcError
from splitbrain.node.mvcc.key_value import Event, EventType, KeyValue

# --- requests ------------------------------------------------------------------

_READERS: dict[str, json_reader.Message] = {
    "/v3/kv/put": json_reader.PUT,
    "/v3/kv/range": json_reader.RANGE,
    "/v3/kv/deleterange": json_reader.DELETE_RANGE,
    "/v3/kv/txn": json_reader.TXN,
    "/v3/kv/compaction": json_reader.COMPACTION,
    "/v3/watch": json_reader.WATCH,
    "/v3/maintenance/status": json_reader.STATUS,
    "/v3/maintenance/hash": json_reader.HASH,
    "/v3/maintenance/hashkv": json_reader.HASH_KV,
    "/v3/maintenance/alarm": json_reader.ALARM,
    "/v3/cluster/member/list": json_reader.MEMBER_LIST,
}


def decode_request(method: str, body: bytes) -> Any:
    """Decode the request of a `method` ("/v3/kv/put") from an HTTP body.

    Raises RpcError (INVALID_ARGUMENT, with Go's message) if the body is invalid.
    """
    usual = decode_usual(method, body)
    return _decode_exactly(_READERS[method], body) if usual is None else usual


def _decode_exactly(reader: json_reader.Message, body: bytes) -> Any:
    try:
        span = go_json.first_value(body)
        raw = b"null" if span is None else body[span[0] : span[1]]
        return reader.read(raw, 0)
    except GoJsonError as problem:
        raise RpcError(Code.INVALID_ARGUMENT, str(problem)) from None


class WatchRequests:
    """Decodes the watch requests in a body that arrives in pieces.

    `bytes_max` is the maximal size of an incomplete request.
    """

    def __init__(self, bytes_max: int) -> None:
        self._rest = b""
        self._bytes_max = bytes_max

    def feed(self, data: bytes) -> list[rpc.WatchRequest]:
        """Add a piece of the body, and return the requests that it completes.

        Empty requests (`{}`, `null`) are ignored. Raises RpcError for an invalid request. Its code
        is UNKNOWN, which the gateway uses for all errors of the stream, and its message is Go's.
        """
        self._rest += data
        found: list[rpc.WatchRequest] = []
        at = 0
        try:
            while (span := self._next(at)) is not None:
                at = span[1]
                request = json_reader.WATCH.read(self._rest[span[0] : at], 0)
                if request is not None:
                    found.append(request)
        except GoJsonError as problem:
            raise RpcError(Code.UNKNOWN, str(problem)) from None
        self._rest = self._rest[at:]
        if len(self._rest) > self._bytes_max:
            raise RpcError(
                Code.RESOURCE_EXHAUSTED,
                f"watch request is larger than {self._bytes_max} bytes",
            )
        return found

    def _next(self, at: int) -> tuple[int, int] | None:
        try:
            return go_json.first_value(self._rest, at)
        except Incomplete:
            return None


# --- responses -----------------------------------------------------------------


def _base64(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode()


# Go's encoding/json escapes characters that are unsafe in HTML and in scripts.
_ESCAPED = re.compile('[\x00-\x1f"\\\\<>&\u2028\u2029]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    return _SHORT.get(character) or f"\\u{ord(character):04x}"


def _text(text: str) -> str:
    return '"' + _ESCAPED.sub(_escape, text) + '"'


def _object(*fields: str) -> str:
    return "{" + ",".join(field for field in fields if field) + "}"


def _int64(name: str, number: int) -> str:
    return f'"{name}":"{number}"' if number else ""


def _flag(name: str, value: bool) -> str:
    return f'"{name}":true' if value else ""


def _list(name: str, elements: list[str]) -> str:
    return f'"{name}":[{",".join(elements)}]' if elements else ""


def _header(header: rpc.ResponseHeader) -> str:
    if header.cluster_id and header.member_id and header.revision and header.raft_term:
        return (
            f'"header":{{"cluster_id":"{header.cluster_id}","member_id":"{header.member_id}",'
            f'"revision":"{header.revision}","raft_term":"{header.raft_term}"}}'
        )
    return '"header":' + _object(
        _int64("cluster_id", header.cluster_id),
        _int64("member_id", header.member_id),
        _int64("revision", header.revision),
        _int64("raft_term", header.raft_term),
    )


def _key_value(kv: KeyValue) -> str:
    return _object(
        f'"key":"{_base64(kv.key)}"' if kv.key else "",
        _int64("create_revision", kv.create_revision),
        _int64("mod_revision", kv.mod_revision),
        _int64("version", kv.version),
        f'"value":"{_base64(kv.value)}"' if kv.value else "",
        _int64("lease", kv.lease),
    )


def _prev_kv(kv: KeyValue | None) -> str:
    return "" if kv is None else '"prev_kv":' + _key_value(kv)


def _put(response: rpc.PutResponse) -> str:
    return _object(_header(response.header), _prev_kv(response.prev_kv))


def _range(response: rpc.RangeResponse) -> str:
    return _object(
        _header(response.header),
        _list("kvs", [_key_value(kv) for kv in response.kvs]),
        _flag("more", response.more),
        _int64("count", response.count),
    )


def _delete_range(response: rpc.DeleteRangeResponse) -> str:
    return _object(
        _header(response.header),
        _int64("deleted", response.deleted),
        _list("prev_kvs", [_key_value(kv) for kv in response.prev_kvs]),
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
    return _object(
        _header(response.header),
        _flag("succeeded", response.succeeded),
        _list("responses", [_response_op(one) for one in response.responses]),
    )


def _header_alone(response: rpc.CompactionResponse | rpc.AlarmResponse) -> str:
    return _object(_header(response.header))


def _event(event: Event) -> str:
    return _object(
        '"type":"DELETE"' if event.type == EventType.DELETE else "",
        '"kv":' + _key_value(event.kv),
        _prev_kv(event.previous),
    )


def _watch(response: rpc.WatchResponse) -> str:
    return _object(
        _header(response.header),
        _int64("watch_id", response.watch_id),
        _flag("created", response.created),
        _flag("canceled", response.canceled),
        _int64("compact_revision", response.compact_revision),
        f'"cancel_reason":{_text(response.cancel_reason)}' if response.cancel_reason else "",
        _flag("fragment", response.fragment),
        _list("events", [_event(event) for event in response.events]),
    )


def _status(response: rpc.StatusResponse) -> str:
    return _object(
        _header(response.header),
        f'"version":{_text(response.version)}' if response.version else "",
        _int64("dbSize", response.db_size),
        _int64("leader", response.leader),
        _int64("raftIndex", response.raft_index),
        _int64("raftTerm", response.raft_term),
        _int64("raftAppliedIndex", response.raft_applied_index),
        _list("errors", [_text(error) for error in response.errors]),
        _int64("dbSizeInUse", response.db_size_in_use),
        _flag("isLearner", response.is_learner),
    )


def _hash(response: rpc.HashResponse) -> str:
    # 32-bit integers are numbers in JSON.
    return _object(_header(response.header), f'"hash":{response.hash}' if response.hash else "")


def _hash_kv(response: rpc.HashKVResponse) -> str:
    return _object(
        _header(response.header),
        f'"hash":{response.hash}' if response.hash else "",
        _int64("compact_revision", response.compact_revision),
    )


def _member(member: rpc.Member) -> str:
    return _object(
        _int64("ID", member.id),
        f'"name":{_text(member.name)}' if member.name else "",
        _list("peerURLs", [_text(url) for url in member.peer_urls]),
        _list("clientURLs", [_text(url) for url in member.client_urls]),
        _flag("isLearner", member.is_learner),
    )


def _member_list(response: rpc.MemberListResponse) -> str:
    return _object(
        _header(response.header), _list("members", [_member(one) for one in response.members])
    )


_WRITERS: dict[type, Callable[[Any], str]] = {
    rpc.PutResponse: _put,
    rpc.RangeResponse: _range,
    rpc.DeleteRangeResponse: _delete_range,
    rpc.TxnResponse: _txn,
    rpc.CompactionResponse: _header_alone,
    rpc.WatchResponse: _watch,
    rpc.StatusResponse: _status,
    rpc.HashResponse: _hash,
    rpc.HashKVResponse: _hash_kv,
    rpc.AlarmResponse: _header_alone,
    rpc.MemberListResponse: _member_list,
}


def encode_response(response: rpc.Response) -> bytes:
    """Return the HTTP body of a response."""
    return _WRITERS[type(response)](response).encode()


def encode_watch_line(response: rpc.WatchResponse) -> bytes:
    """Return one line of a watch stream."""
    return f'{{"result":{_watch(response)}}}\n'.encode()


def encode_stream_error(error: RpcError) -> bytes:
    """Return the last line of a watch stream that fails after its first response.

    Source: grpc-gateway 1.16, `handleForwardResponseStreamError`.
    """
    status = http.HTTPStatus(error.http_status)
    return (
        f'{{"error":{{"grpc_code":{int(error.code)},"http_code":{int(status)},'
        f'"message":{_text(error.message)},"http_status":"{status.phrase}"}}}}\n'
    ).encode()


def encode_error(error: RpcError) -> bytes:
    """Return the HTTP body of an error. It contains the message twice, as in the gateway."""
    message = _text(error.message)
    return f'{{"error":{message},"code":{int(error.code)},"message":{message}}}'.encode()
