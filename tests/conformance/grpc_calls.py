"""Sends requests over gRPC whose bodies and answers have the form of the JSON gateway.

The strategies and the comparisons of the tests therefore apply to both carriers.
"""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator
from functools import cache
from typing import Any

import grpc
from google.protobuf import json_format

from splitbrain.node.api.methods import METHODS, Kind, Method
from splitbrain.node.api.proto.messages import message_class, method_descriptor
from tests.conformance.server_pair import Answer, Pair, Server, masked

TIMEOUT_S = 10.0
CARRIERS = ("json", "grpc")


def answers(pair: Pair, carrier: str, path: str, body: bytes) -> tuple[Answer, Answer] | None:
    """The answers of both members, or None if the carrier cannot carry the body."""
    if carrier == "json":
        return pair.call("POST", path, body)
    if requests_of(path, body) is None:
        return None
    return masked(call(pair.ours, path, body)), masked(call(pair.etcd, path, body))


@cache
def _methods() -> dict[str, Method]:
    """The methods by their routes, and by the routes that older gateways had."""
    return {
        route: method for method in METHODS for route in (method.route, method.old_route) if route
    }


def _classes(method: Method) -> tuple[Any, Any]:
    described = method_descriptor(method.service, method.name)
    return message_class(described.input_type.full_name), message_class(
        described.output_type.full_name
    )


def requests_of(path: str, body: bytes) -> list[Any] | None:
    """The messages that `body` contains, one in a line, or None if gRPC cannot carry the body."""
    method = _methods().get(path)
    if method is None:
        return None
    make, _ = _classes(method)
    lines = body.splitlines() if method.kind is Kind.BIDI_STREAM else [body]
    try:
        return [json_format.ParseDict(json.loads(line), make()) for line in lines]
    except (ValueError, json_format.ParseError, AttributeError, TypeError):
        return None


def call(server: Server, path: str, body: bytes, token: str = "") -> Answer:
    """Send a request whose body `requests_of` can read. The status is that of gRPC.

    The body of an answer is one JSON object for each message, one in a line.
    """
    requests = requests_of(path, body)
    assert requests is not None, (path, body)
    method = _methods()[path]
    make, receive = _classes(method)
    metadata = (("token", token),) if token else ()
    channel = channel_of(server)
    kinds = {Kind.UNARY: channel.unary_unary, Kind.SERVER_STREAM: channel.unary_stream}
    open_call = kinds.get(method.kind, channel.stream_stream)(
        method.path, request_serializer=make.SerializeToString,
        response_deserializer=receive.FromString,
    )  # fmt: skip
    sent = iter(requests) if method.kind is Kind.BIDI_STREAM else requests[0]
    lines: list[bytes] = []
    try:
        found = open_call(sent, timeout=TIMEOUT_S, metadata=metadata)
        lines.extend(map(shown, [found] if method.kind is Kind.UNARY else found))
    except grpc.RpcError as refused:
        lines.append(json.dumps({"error": refused.details()}).encode())
        return Answer(refused.code().value[0], b"\n".join(lines))
    return Answer(0, b"\n".join(lines))


def channel_of(server: Server) -> grpc.Channel:
    """The channel of `server`, which stays open until the server is stopped."""
    if server.channel is None:
        options = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
        server.channel = grpc.insecure_channel(f"127.0.0.1:{server.port}", options)
    return server.channel


def shown(message: Any) -> bytes:
    """A message as JSON. It names bytes of the message that this project's definitions lack."""
    fields = json_format.MessageToDict(message, preserving_proto_field_name=True)
    whole_bytes = message.ByteSize()
    message.DiscardUnknownFields()
    if message.ByteSize() != whole_bytes:
        fields["unknown bytes"] = whole_bytes - message.ByteSize()
    return json.dumps(fields, separators=(",", ":")).encode()


class WatchStream:
    """A watch stream. `readline` returns an answer in the form of the JSON gateway."""

    def __init__(self, server: Server, requests: list[dict[str, Any]]) -> None:
        method = _methods()["/v3/watch"]
        make, receive = _classes(method)
        self._make = make
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for one in requests:
            self.send(one)
        self._answers = channel_of(server).stream_stream(
            method.path, request_serializer=make.SerializeToString,
            response_deserializer=receive.FromString,
        )(self._sent(), timeout=TIMEOUT_S)  # fmt: skip

    def send(self, request: dict[str, Any]) -> None:
        self._requests.put(json_format.ParseDict(request, self._make()))

    def _sent(self) -> Iterator[Any]:
        while (request := self._requests.get()) is not None:
            yield request

    def readline(self) -> bytes:
        return b'{"result":%s}\n' % shown(next(self._answers))

    def close(self) -> None:
        self._answers.cancel()
        self._requests.put(None)
