"""Serves the v3 API (`splitbrain.node.api.v3_service`) as gRPC.

`GrpcServer` knows the methods. A `GrpcConnection` is one connection of a client: it executes the
requests of all streams at the same time, and writes all answers of one iteration of the event loop
at once. A request whose client resets the stream, or disconnects, is cancelled.

Source: gRPC's document "gRPC over HTTP2"; the messages of statuses are those of grpc-go 1.38, which
etcd 3.5.1 contains.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, cast

from splitbrain.node.api.grpc_wire import (
    CONTENT_TYPE,
    OK_TRAILERS,
    RESPONSE_BLOCK,
    MessageReader,
    framed,
    status_fields,
    timeout_s,
)
from splitbrain.node.api.methods import METHODS, Kind, Method
from splitbrain.node.api.ports import Log
from splitbrain.node.api.protobuf_codec import request_decoder, response_encoder
from splitbrain.node.api.request_metrics import observer
from splitbrain.node.api.v3_service import MESSAGE_OVERHEAD_BYTES, Api
from splitbrain.node.http2 import hpack
from splitbrain.node.http2.connection import Connection, ConnectionFailed
from splitbrain.node.http2.events import (
    DataReceived,
    HeadersReceived,
    StreamReset,
    WindowOpened,
)
from splitbrain.node.messages import errors
from splitbrain.node.messages.caller import CALLER, Caller
from splitbrain.node.messages.errors import Code, RpcError

REQUESTS_WAITING_MAX = 64
"""While more requests than this wait for the handler of a stream, its window stays closed."""
ANSWER_BYTES_WAITING_MAX = 64 * 1024
"""The handler of a stream pauses while more bytes than this wait for the client's window."""

_CALLER = Caller("grpc")
_NOT_GRPC = hpack.encode(((b":status", b"415"),))
_RESPONSE_FIELDS = ((b":status", b"200"), (b"content-type", CONTENT_TYPE))


@dataclass(frozen=True, slots=True)
class _Served:
    """One method, and how it is served."""

    method: Method
    handle: Callable[[Any], Any]
    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]
    began: Callable[[], None]
    observe: Callable[[Code, float], None]


class GrpcServer:
    """Serves one `Api` on any number of connections."""

    def __init__(self, api: Api, log: Log) -> None:
        self.log = log
        self.message_bytes_max = api.member.request_bytes_max + MESSAGE_OVERHEAD_BYTES
        self._served: dict[bytes, _Served] = {}
        for method in METHODS:
            handlers = api.methods if method.kind is Kind.UNARY else api.streams
            began, observe = observer(api.metrics, method)
            self._served[method.path.encode()] = _Served(
                method=method,
                handle=handlers[method.key],
                decode=request_decoder(method),
                encode=response_encoder(method),
                began=began,
                observe=observe,
            )
        self._services = {method.service for method in METHODS}
        self._connections: dict[GrpcConnection, None] = {}

    def connection(self) -> GrpcConnection:
        """Return the protocol of a new connection."""
        return GrpcConnection(self, self._connections)

    def find(self, path: bytes) -> _Served:
        """Return a method by its path. Raises RpcError if it does not exist."""
        served = self._served.get(path)
        if served is not None:
            return served
        service, _, name = path.decode("utf-8", "replace").removeprefix("/").rpartition("/")
        if service in self._services:
            raise errors.unimplemented(f"{service}/{name}")
        raise errors.unknown_service(service)

    def close(self) -> None:
        """End all streams and connections."""
        for connection in list(self._connections):
            connection.close()


class _Call:
    """One stream: a request, or a stream of requests, and what is needed to answer."""

    __slots__ = (
        "began_s", "caller", "number", "reader", "requests", "room", "served", "started", "task",
        "timer", "unrestored",
    )  # fmt: skip

    def __init__(self, number: int, served: _Served, reader: MessageReader) -> None:
        self.number = number
        self.served = served
        self.reader = reader
        self.caller = _CALLER
        self.began_s = 0.0
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.requests: asyncio.Queue[bytes | None] | list[bytes] = []
        self.unrestored = 0
        """The number of received bytes by which the stream's window is not restored yet."""
        self.room: asyncio.Event | None = None
        self.started = False


class GrpcConnection(asyncio.Protocol):
    """One connection of a client."""

    def __init__(self, server: GrpcServer, connections: dict[GrpcConnection, None]) -> None:
        self._server = server
        self._connections = connections
        self._core = Connection(client=False)
        self._calls: dict[int, _Call] = {}
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._flushing = False
        self._paused = False

    # --- called by the loop -----------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connections[self] = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._connections.pop(self, None)
        for call in list(self._calls.values()):
            self._cancel(call)

    def data_received(self, data: bytes) -> None:
        try:
            events = self._core.receive(data)
        except ConnectionFailed as problem:
            self._server.log("warn", "malformed HTTP/2", client=self._client(), why=str(problem))
            self._flush()
            if self._transport is not None:
                self._transport.close()
            return
        for event in events:
            match event:
                case HeadersReceived():
                    self._headers(event)
                case DataReceived():
                    self._data(event)
                case StreamReset():
                    call = self._calls.get(event.stream)
                    if call is not None:
                        self._cancel(call)
                case WindowOpened():
                    self._make_room(self._calls.get(event.stream))
        self._flush()

    def pause_writing(self) -> None:
        # A client that does not read its answers must not send more requests.
        self._paused = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._paused = False
        if self._transport is not None:
            self._transport.resume_reading()
        for call in self._calls.values():
            self._make_room(call)

    def close(self) -> None:
        """End all open streams with an error, send what is left, and close the connection."""
        self._core.send_go_away()
        for call in list(self._calls.values()):
            self._refuse(call, errors.stopped())
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def _client(self) -> str:
        address = self._transport and self._transport.get_extra_info("peername")
        return str(address[0]) if isinstance(address, tuple) else "unknown"

    # --- output -----------------------------------------------------------------------

    def _flush(self) -> None:
        self._flushing = False
        output = self._core.take_output()
        if output and self._transport is not None:
            self._transport.write(output)

    def _flush_soon(self) -> None:
        """Write the output once, when all answers of this iteration of the loop are in it."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    # --- requests ---------------------------------------------------------------------

    def _headers(self, event: HeadersReceived) -> None:
        number = event.stream
        known = self._calls.get(number)
        if known is not None:
            if event.end:
                self._requests_end(known)
            return
        fields = dict(event.headers)
        if fields.get(b":method") != b"POST" or not fields.get(b"content-type", b"").startswith(
            CONTENT_TYPE
        ):
            self._core.send_trailers(number, _NOT_GRPC)
            return
        try:
            served = self._server.find(fields.get(b":path", b""))
        except RpcError as problem:
            self._core.send_trailers(
                number, hpack.encode((*_RESPONSE_FIELDS, *status_fields(problem)))
            )
            return
        call = _Call(number, served, MessageReader(self._server.message_bytes_max))
        self._calls[number] = call
        self._begin(call, fields)
        if event.end:
            self._requests_end(call)

    def _begin(self, call: _Call, fields: dict[bytes, bytes]) -> None:
        call.began_s = self._loop.time()
        call.served.began()
        token = fields.get(b"token") or fields.get(b"authorization") or b""
        leader = fields.get(b"hasleader") == b"true"
        if token or leader:
            call.caller = Caller("grpc", token.decode("utf-8", "replace"), leader)
        timeout = fields.get(b"grpc-timeout")
        if timeout is not None and (seconds := timeout_s(timeout)) is not None:
            call.timer = self._loop.call_later(seconds, self._refuse, call, errors.deadline())
        if call.served.method.kind is Kind.BIDI_STREAM:
            call.requests = asyncio.Queue()
            call.room = asyncio.Event()
            call.task = self._loop.create_task(self._answer_stream(call, self._decoded(call)))

    def _data(self, event: DataReceived) -> None:
        call = self._calls.get(event.stream)
        if call is None:
            return
        try:
            messages = call.reader.feed(event.data)
        except RpcError as problem:
            self._refuse(call, problem)
            return
        call.unrestored += event.flow_bytes
        if isinstance(call.requests, list):
            call.requests += messages
        else:
            for message in messages:
                call.requests.put_nowait(message)
        self._restore_window(call)
        if event.end:
            self._requests_end(call)

    def _restore_window(self, call: _Call) -> None:
        waiting = len(call.requests) if isinstance(call.requests, list) else call.requests.qsize()
        if call.unrestored and waiting <= REQUESTS_WAITING_MAX:
            self._core.consumed(call.number, call.unrestored)
            call.unrestored = 0

    def _requests_end(self, call: _Call) -> None:
        if call.reader.incomplete:
            self._refuse(call, RpcError(Code.INTERNAL, "the stream ended within a message"))
        elif isinstance(call.requests, asyncio.Queue):
            call.requests.put_nowait(None)
        elif len(call.requests) != 1:
            text = f"{len(call.requests)} requests in a call; expected one"
            self._refuse(call, RpcError(Code.INTERNAL, text))
        elif call.served.method.kind is Kind.UNARY:
            call.task = self._loop.create_task(self._answer(call, call.requests[0]))
        else:
            call.room = asyncio.Event()
            call.task = self._loop.create_task(self._answer_stream(call, call.requests[0]))

    async def _decoded(self, call: _Call) -> AsyncIterator[Any]:
        """Yield the requests of a stream. A request whose union has no value is skipped."""
        assert isinstance(call.requests, asyncio.Queue)
        while (message := await call.requests.get()) is not None:
            self._restore_window(call)
            self._flush_soon()
            request = call.served.decode(message)
            if request is not None:
                yield request

    # --- answers ----------------------------------------------------------------------

    async def _answer(self, call: _Call, message: bytes) -> None:
        CALLER.set(call.caller)
        served, core, number = call.served, self._core, call.number
        try:
            data = served.encode(await served.handle(served.decode(message)))
        except RpcError as problem:
            self._refuse(call, problem)
            return
        except Exception as problem:
            self._failed(call, problem)
            return
        core.send_headers(number, RESPONSE_BLOCK)
        core.send_data(number, framed(data))
        core.send_trailers(number, OK_TRAILERS)
        self._ended(call, Code.OK)
        self._flush_soon()

    async def _answer_stream(self, call: _Call, requests: AsyncIterator[Any] | bytes) -> None:
        """Send the responses of a stream.

        `requests` is an iterator, or one encoded request if the client does not send a stream.
        """
        CALLER.set(call.caller)
        served, core, number = call.served, self._core, call.number
        try:
            given = served.decode(requests) if isinstance(requests, bytes) else requests
            answers = served.handle(given)
            try:
                async for answer in answers:
                    self._start(call)
                    core.send_data(number, framed(served.encode(answer)))
                    self._flush_soon()
                    await self._wait_for_room(call)
            finally:
                await answers.aclose()
        except RpcError as problem:
            self._refuse(call, problem)
            return
        except Exception as problem:
            self._failed(call, problem)
            return
        self._start(call)
        core.send_trailers(number, OK_TRAILERS)
        self._ended(call, Code.OK)
        self._flush_soon()

    def _start(self, call: _Call) -> None:
        if not call.started:
            call.started = True
            self._core.send_headers(call.number, RESPONSE_BLOCK)

    async def _wait_for_room(self, call: _Call) -> None:
        assert call.room is not None
        while self._paused or self._core.waiting_bytes(call.number) > ANSWER_BYTES_WAITING_MAX:
            call.room.clear()
            await call.room.wait()

    def _make_room(self, call: _Call | None) -> None:
        if call is not None and call.room is not None:
            call.room.set()

    def _failed(self, call: _Call, problem: Exception) -> None:
        self._server.log(
            "error",
            f"{call.served.method.path} failed",
            traceback="".join(traceback.format_exception(problem)),
        )
        self._refuse(call, RpcError(Code.INTERNAL, f"{type(problem).__name__}: {problem}"))

    def _refuse(self, call: _Call, problem: RpcError) -> None:
        """End a call with an error. Its task is cancelled if it is not the current task."""
        if self._calls.get(call.number) is not call:
            return
        fields = status_fields(problem)
        if not call.started:
            fields = (*_RESPONSE_FIELDS, *fields)
        self._core.send_trailers(call.number, hpack.encode(fields))
        self._ended(call, problem.code)
        self._flush_soon()

    def _cancel(self, call: _Call) -> None:
        self._ended(call, Code.CANCELED)

    def _ended(self, call: _Call, code: Code) -> None:
        self._calls.pop(call.number, None)
        if call.timer is not None:
            call.timer.cancel()
        if call.task is not None and call.task is not asyncio.current_task():
            call.task.cancel()
        call.served.observe(code, self._loop.time() - call.began_s)
