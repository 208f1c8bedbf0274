"""One HTTP/2 connection of a client, for unary calls and streams of gRPC.

Any number of calls share a connection. `connect` opens it.

Source: gRPC's document "gRPC over HTTP2".
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import cast

from splitbrain.harness.clients.http_connection import (
    ANSWER_BYTES_MAX,
    ConnectionLost,
    NotConnected,
)
from splitbrain.node.api.grpc_wire import CONTENT_TYPE, MessageReader, error_of_status, framed
from splitbrain.node.http2 import hpack
from splitbrain.node.http2.connection import STREAM_WINDOW_BYTES, Connection, ConnectionFailed
from splitbrain.node.http2.events import DataReceived, GoAway, HeadersReceived, StreamReset
from splitbrain.node.http2.frames import ErrorCode
from splitbrain.node.messages.errors import RpcError


class _Call:
    """A stream, and what has arrived on it. `changed` is set when something arrives."""

    __slots__ = ("changed", "ended", "flow_bytes", "messages", "problem", "reader")

    def __init__(self) -> None:
        self.reader = MessageReader(ANSWER_BYTES_MAX)
        self.messages: deque[bytes] = deque()
        self.flow_bytes = 0
        """The size of the data that has arrived since the last message was taken."""
        self.changed = asyncio.Event()
        self.problem: Exception | None = None
        self.ended = False

    async def wait(self) -> None:
        """Wait until something arrives."""
        self.changed.clear()
        await self.changed.wait()

    def end(self, problem: Exception | None = None) -> None:
        if not self.ended:
            self.ended = True
            self.problem = problem
            self.changed.set()


class GrpcConnection(asyncio.Protocol):
    """A connection to one member. Calls may be made only while `usable` is True."""

    def __init__(self, authority: str, stream_window_bytes: int = STREAM_WINDOW_BYTES) -> None:
        self._authority = authority.encode()
        self._core = Connection(client=True, stream_window_bytes=stream_window_bytes)
        self._transport: asyncio.Transport | None = None
        self._calls: dict[int, _Call] = {}
        self._blocks: dict[str, bytes] = {}
        self._flushing = False
        self._leaving = False
        """Whether the member has announced that it accepts no further calls."""

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._leaving and self._core.streams_left

    async def unary(self, path: str, message: bytes, timeout_s: float) -> bytes:
        """Call the method `path`, such as "/etcdserverpb.KV/Put", and return its answer.

        Raises RpcError, NotConnected if the member has certainly not accepted the call,
        ConnectionLost, or TimeoutError after `timeout_s`.
        """
        number, call = self._open(path, (message,), end=True)
        try:
            async with asyncio.timeout(timeout_s):
                while not call.ended:
                    await call.wait()
        finally:
            self._close(number)
        if call.problem is not None:
            raise call.problem
        if len(call.messages) != 1:
            raise ConnectionLost(f"{len(call.messages)} answers to a call; expected one")
        return call.messages[0]

    async def stream(self, path: str, messages: Iterable[bytes]) -> AsyncIterator[bytes]:
        """Send `messages` on one stream, which stays open, and yield what the member sends.

        Raises the errors of `unary`, except TimeoutError.
        """
        number, call = self._open(path, messages, end=False)
        try:
            while True:
                while call.messages:
                    yield call.messages.popleft()
                self._core.consumed(number, call.flow_bytes)
                call.flow_bytes = 0
                self._flush_soon()
                if call.ended:
                    break
                await call.wait()
        finally:
            self._close(number)
        if call.problem is not None:
            raise call.problem

    def close(self) -> None:
        """Close the connection and drop the data that is not sent yet. May be called twice."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        self._end_all(ConnectionLost("closed by the client"))

    def _open(self, path: str, messages: Iterable[bytes], *, end: bool) -> tuple[int, _Call]:
        if not self.usable:
            raise NotConnected("the connection is closed")
        block = self._blocks.get(path)
        if block is None:
            block = self._blocks[path] = hpack.encode((
                (b":method", b"POST"), (b":scheme", b"http"), (b":path", path.encode()),
                (b":authority", self._authority), (b"te", b"trailers"),
                (b"content-type", CONTENT_TYPE),
            ))  # fmt: skip
        number = self._core.open_stream(block)
        call = self._calls[number] = _Call()
        for message in messages:
            self._core.send_data(number, framed(message), end=end)
        self._flush_soon()
        return number, call

    def _close(self, number: int) -> None:
        if self._calls.pop(number, None) is not None:
            self._core.send_reset(number)
            self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        output = self._core.take_output()
        if output and self._transport is not None:
            self._transport.write(output)

    # --- called by the loop ------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._end_all(ConnectionLost(str(exc or "closed by the member")))

    def data_received(self, data: bytes) -> None:
        try:
            events = self._core.receive(data)
        except ConnectionFailed as problem:
            self._end_all(ConnectionLost(f"not an HTTP/2 answer: {problem}"))
            self.close()
            return
        for event in events:
            match event:
                case HeadersReceived():
                    self._headers(event)
                case DataReceived():
                    self._data(event)
                case StreamReset():
                    self._reset(event)
                case GoAway():
                    self._go_away(event)
        self._flush()

    def _headers(self, event: HeadersReceived) -> None:
        call = self._calls.get(event.stream)
        if call is None:
            return
        fields = dict(event.headers)
        if event.end:
            call.end(
                error_of_status(fields) if b"grpc-status" in fields
                else ConnectionLost(f"an answer without a gRPC status: {fields}")
            )
        elif fields.get(b":status") != b"200":
            call.end(ConnectionLost(f"not a gRPC answer: {fields}"))

    def _data(self, event: DataReceived) -> None:
        call = self._calls.get(event.stream)
        if call is None:
            return
        try:
            found = call.reader.feed(event.data)
        except RpcError as problem:
            call.end(ConnectionLost(f"not a gRPC answer: {problem}"))
            return
        call.messages += found
        if call.reader.incomplete and not call.messages:
            # The rest of a message that is larger than the window must be able to arrive.
            self._core.consumed(event.stream, event.flow_bytes + call.flow_bytes)
            call.flow_bytes = 0
        else:
            call.flow_bytes += event.flow_bytes
        if found:
            call.changed.set()
        if event.end:
            call.end(ConnectionLost("the answer ended without a gRPC status"))

    def _reset(self, event: StreamReset) -> None:
        call = self._calls.get(event.stream)
        if call is None:
            return
        if event.code == ErrorCode.REFUSED_STREAM:
            call.end(NotConnected("the member refused the stream"))
        else:
            call.end(ConnectionLost(f"the stream was reset with the code {event.code}"))

    def _go_away(self, event: GoAway) -> None:
        """End the calls that the member certainly did not accept: those after `last_stream`."""
        self._leaving = True
        for number, call in self._calls.items():
            if number > event.last_stream:
                call.end(NotConnected("the member accepts no further calls"))

    def _end_all(self, problem: Exception) -> None:
        for call in self._calls.values():
            call.end(problem)


async def connect(
    host: str, port: int, timeout_s: float, *, receive_buffer_bytes: int = 0
) -> GrpcConnection:
    """Open a connection to a member. Raises NotConnected.

    If `receive_buffer_bytes` is not 0, about this many bytes at most wait in the socket, and the
    same number in each stream.
    """
    loop = asyncio.get_running_loop()
    authority = f"{host}:{port}"
    try:
        async with asyncio.timeout(timeout_s):
            if not receive_buffer_bytes:
                _, connection = await loop.create_connection(
                    lambda: GrpcConnection(authority), host, port
                )
                return connection
            small = await _small_socket(host, port, receive_buffer_bytes)
            _, connection = await loop.create_connection(
                lambda: GrpcConnection(authority, receive_buffer_bytes), sock=small
            )
            return connection
    except TimeoutError as problem:
        raise NotConnected("timed out") from problem
    except OSError as problem:
        reason = os.strerror(problem.errno) if problem.errno else str(problem)
        raise NotConnected(reason) from problem


async def _small_socket(host: str, port: int, receive_buffer_bytes: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    family, kind, protocol, _, address = (
        await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    )[0]
    made = socket.socket(family, kind, protocol)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        await loop.sock_connect(made, address)
    except BaseException:
        made.close()
        raise
    return made
