"""Encodes requests for etcd's gRPC services, and decodes the answers.

The messages have the same fields as those of the JSON gateway. Therefore `kv_codec` and
`service_codec` first determine the fields of a request, and later interpret the decoded answer.

Source: etcd's `rpc.proto`, `v3lock.proto`, `v3election.proto`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import msgspec
from google.protobuf.message import DecodeError

from splitbrain.harness.clients import kv_codec, service_codec
from splitbrain.harness.clients.json_messages import (
    ServiceAnswer,
    SnapshotAnswer,
    Status,
    WatchResult,
    to_bytes,
)
from splitbrain.harness.clients.watch_codec import (
    WATCH,
    WatchAnswer,
    answer_of,
    first_messages,
    later_messages,
)
from splitbrain.histories.kv import Put
from splitbrain.histories.maintenance import Snapshot
from splitbrain.histories.service_operation import AnyRequest, AnyResult
from splitbrain.histories.watch import WatchRequest
from splitbrain.node.api.methods import BY_KEY
from splitbrain.node.api.proto.messages import message_class, method_descriptor
from splitbrain.node.api.protobuf_codec import struct_converter

WATCH_PATH = BY_KEY[WATCH].path
STATUS_PATH = BY_KEY["/v3/maintenance/status"].path

_put_message = message_class("etcdserverpb.PutRequest")


class UndecodableAnswer(ValueError):
    """Raised if the bytes of an answer are not a message of the expected type."""


def encode_stream(request: AnyRequest) -> tuple[str, list[bytes]]:
    """Return the path of the gRPC method for `request`, and the messages to send on its stream."""
    route = service_codec.PATHS[type(request)]
    return BY_KEY[route].path, [_message(route, one) for one in service_codec.stream_forms(request)]


def decode_of_stream(request: AnyRequest, data: bytes) -> ServiceAnswer:
    """Decode one answer of the stream of `request`. Raises UndecodableAnswer."""
    answer: ServiceAnswer = _decode(service_codec.PATHS[type(request)], ServiceAnswer, data)
    return answer


def decode_snapshot(messages: Iterable[bytes]) -> list[SnapshotAnswer]:
    """Decode the messages of a snapshot. Raises UndecodableAnswer."""
    route = service_codec.PATHS[Snapshot]
    return [_decode(route, SnapshotAnswer, one) for one in messages]


def encode(request: AnyRequest) -> tuple[str, bytes]:
    """Return the path of the gRPC method for `request`, and the encoded message."""
    if isinstance(request, Put):
        message = _put_message(
            key=to_bytes(request.key), value=to_bytes(request.value), lease=request.lease,
            prev_kv=request.prev_kv, ignore_lease=request.ignore_lease,
            ignore_value=request.ignore_value,
        )
        return BY_KEY[kv_codec.PUT].path, message.SerializeToString()
    if service_codec.is_of_kv(request):
        route = kv_codec.ROUTES[type(request)]
        fields = msgspec.to_builtins(kv_codec.wire_form(request), builtin_types=(bytes,))
    else:
        service: Any = request
        route, fields = service_codec.PATHS[type(request)], service_codec.wire_form(service)
    return BY_KEY[route].path, _message(route, fields)


def decode(request: AnyRequest, data: bytes) -> AnyResult:
    """Decode `data`, the answer to `request`. Raises UndecodableAnswer."""
    if service_codec.is_of_kv(request):
        route, answer = kv_codec.ROUTES[type(request)], kv_codec.ANSWERS[type(request)]
        return kv_codec.result_of(_decode(route, answer, data))
    service: Any = request
    kind = service_codec.answer_type(service)
    wire = _decode(service_codec.PATHS[type(request)], kind, data)
    return service_codec.service_result(service, wire)


def encode_watches(requests: Iterable[WatchRequest]) -> list[bytes]:
    """Return the encoded messages that open the watches `requests`, and change them later.

    `watch_codec.first_messages` and `later_messages` describe them.
    """
    listed = list(requests)
    return [_message(WATCH, one) for one in (*first_messages(listed), *later_messages(listed))]


def decode_watch(data: bytes) -> WatchAnswer:
    """Decode one response of a watch stream. Raises UndecodableAnswer."""
    return answer_of(_decode(WATCH, WatchResult, data))


def decode_status(data: bytes) -> Status:
    """Decode the answer to a request for a member's status. Raises UndecodableAnswer."""
    status: Status = _decode("/v3/maintenance/status", Status, data)
    return status


# --- messages --------------------------------------------------------------------


def _message(route: str, fields: Mapping[str, Any]) -> bytes:
    message = _input_class(route)()
    _fill(message, fields)
    data: bytes = message.SerializeToString()
    return data


@cache
def _input_class(route: str) -> Any:
    method = BY_KEY[route]
    return message_class(method_descriptor(method.service, method.name).input_type.full_name)


def _fill(message: Any, fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        field = message.DESCRIPTOR.fields_by_name[name]
        if field.message_type is None:
            if field.is_repeated:
                getattr(message, name).extend([_scalar(field, one) for one in value])
            else:
                setattr(message, name, _scalar(field, value))
        elif field.is_repeated:
            for one in value:
                _fill(getattr(message, name).add(), one)
        else:
            inner = getattr(message, name)
            inner.SetInParent()
            _fill(inner, value)


def _scalar(field: Any, value: Any) -> Any:
    if not isinstance(value, str) or field.type == field.TYPE_STRING:
        return value
    if field.enum_type is not None:
        return field.enum_type.values_by_name[value].number
    return int(value)


def _decode(route: str, struct: type, data: bytes | None) -> Any:
    if data is None:  # grpcio returns it if the member ends during the call
        raise UndecodableAnswer("the call ended without an answer")
    parse, convert = _decoder(route, struct)
    try:
        return convert(parse(data))
    except (DecodeError, ValueError) as problem:
        raise UndecodableAnswer(f"{problem}: {data[:120]!r}") from problem


@cache
def _decoder(route: str, struct: type) -> tuple[Any, Any]:
    method = BY_KEY[route]
    output = method_descriptor(method.service, method.name).output_type
    return message_class(output.full_name).FromString, struct_converter(struct, output)
