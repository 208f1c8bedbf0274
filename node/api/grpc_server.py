"""Serves the v3 API (`splitbrain.node.api.v3_service`) over gRPC, with grpcio's asyncio server.

Clients do not connect to this server directly. They connect to the port that
`splitbrain.node.real.client_port` opens, and the port forwards each connection to the server. The
port also gives each connection a name, by which a handler finds the client's certificate.

Source: grpc-go 1.38, which is part of etcd 3.5.1, for the texts of errors.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, cast

import grpc

from splitbrain.node.api.keepalive import Keepalive
from splitbrain.node.api.member_interface import Log
from splitbrain.node.api.methods import METHODS, Kind, Method
from splitbrain.node.api.protobuf_codec import request_decoder, response_encoder
from splitbrain.node.api.request_metrics import counting_bytes, observer
from splitbrain.node.api.v3_service import MESSAGE_OVERHEAD_BYTES, Api
from splitbrain.node.messages import errors
from splitbrain.node.messages.current_client import CALLER, Caller
from splitbrain.node.messages.errors import Code, RpcError

STREAMS_MAX = 10_000
"""The maximal number of open streams on one connection. A client waits before it opens more."""
HEADER_BYTES_MAX = 64 * 1024
"""The maximal size of the header fields of a request, in bytes."""
BYTES_OVER_LIMIT_MAX = 64 * 1024**2
"""If a message exceeds the size limit by more than this many bytes, grpcio refuses it.

The client then gets grpcio's error text. Other messages that exceed the limit are refused with
etcd's text.
"""
FOR_EVER_MS = 2**31 - 1
CLOSE_S = 1.0
"""The time, in seconds, that a stopping server gives its clients to receive their last answers."""

_STATUS = {Code(status.value[0]): status for status in grpc.StatusCode}
_CALLER = Caller("grpc")


@dataclass(frozen=True, slots=True)
class _Served:
    """A method of the API, with its handler, its codec and the counters of its requests."""

    method: Method
    handle: Callable[[Any], Any]
    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]
    began: Callable[[], None]
    observe: Callable[[Code, float], None]


class GrpcServer(grpc.GenericRpcHandler):  # type: ignore[misc]
    """A gRPC server of one `Api`. `start` begins to listen.

    `common_name` maps the name of a connection to the common name in the client's certificate. It
    returns "" if the client has no certificate.

    `common_name` returns None if the connection does not come from the client port. The server then
    refuses all requests of the connection.
    """

    def __init__(
        self,
        api: Api,
        log: Log,
        common_name: Callable[[str], str | None],
        keepalive: Keepalive,
    ) -> None:
        self._log = log
        self._keepalive = keepalive
        self._common_name = common_name
        self._bytes_max = api.member.request_bytes_max + MESSAGE_OVERHEAD_BYTES
        self._clock = asyncio.get_running_loop().time
        self._services = {method.service for method in METHODS}
        self._handlers = {method.path: self._handler(api, method) for method in METHODS}
        self._calls: dict[asyncio.Task[Any], None] = {}
        self._stopping = False
        self._server: grpc.aio.Server | None = None

    async def start(self, address: str) -> None:
        """Listen at `address`, such as "unix-abstract:NAME".

        Raises OSError if this is not possible.
        """
        server = grpc.aio.server(options=self._options())
        server.add_generic_rpc_handlers((self,))
        try:
            server.add_insecure_port(address)
        except RuntimeError as problem:
            raise OSError(f"cannot listen at {address}") from problem
        await server.start()
        self._server = server

    def _options(self) -> Sequence[tuple[str, int]]:
        keepalive = self._keepalive
        return (
            ("grpc.max_receive_message_length", self._bytes_max + BYTES_OVER_LIMIT_MAX),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_concurrent_streams", STREAMS_MAX),
            ("grpc.max_metadata_size", HEADER_BYTES_MAX),
            ("grpc.absolute_max_metadata_size", HEADER_BYTES_MAX),
            ("grpc.so_reuseport", 0),
            ("grpc.keepalive_permit_without_calls", 0),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", keepalive.min_time_ms),
            ("grpc.keepalive_time_ms", keepalive.interval_ms or FOR_EVER_MS),
            ("grpc.keepalive_timeout_ms", keepalive.timeout_ms),
        )

    async def close(self) -> None:
        """End all requests with an error, and stop the server."""
        self._stopping = True
        for task in list(self._calls):
            task.cancel()
        if self._server is not None:
            await self._server.stop(CLOSE_S)

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """Return the handler of a request. grpcio calls this method for each request."""
        handler = self._handlers.get(details.method)
        return _refusing(self._unknown(details.method)) if handler is None else handler

    def _unknown(self, path: str) -> RpcError:
        service, _, name = path.removeprefix("/").rpartition("/")
        if service in self._services:
            return errors.unimplemented(f"{service}/{name}")
        return errors.unknown_service(service)

    def _handler(self, api: Api, method: Method) -> grpc.RpcMethodHandler:
        handlers = api.methods if method.kind is Kind.UNARY else api.streams
        began, observe = observer(api.metrics, method)
        decode, encode = counting_bytes(
            api.metrics, request_decoder(method), response_encoder(method)
        )
        served = _Served(
            method=method,
            handle=handlers[method.key],
            decode=decode,
            encode=encode,
            began=began,
            observe=observe,
        )
        if method.kind is Kind.UNARY:
            return grpc.unary_unary_rpc_method_handler(self._unary(served))
        if method.kind is Kind.SERVER_STREAM:
            return grpc.unary_stream_rpc_method_handler(self._server_stream(served))
        return grpc.stream_stream_rpc_method_handler(self._bidi_stream(served))

    def _unary(self, served: _Served) -> Callable[..., Awaitable[bytes]]:
        async def answer(data: bytes, context: grpc.aio.ServicerContext) -> bytes:
            async def work() -> bytes:
                return served.encode(await served.handle(self._decoded(served, data)))

            return cast("bytes", await self._answered(served, context, work))

        return answer

    def _server_stream(self, served: _Served) -> Callable[..., Awaitable[None]]:
        async def answer(data: bytes, context: grpc.aio.ServicerContext) -> None:
            async def work() -> None:
                await _send(served, context, served.handle(self._decoded(served, data)))

            await self._answered(served, context, work)

        return answer

    def _bidi_stream(self, served: _Served) -> Callable[..., Awaitable[None]]:
        async def answer(
            requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext
        ) -> None:
            async def decoded() -> AsyncIterator[Any]:
                # A request whose union has no value is skipped.
                async for data in requests:
                    request = self._decoded(served, data)
                    if request is not None:
                        yield request

            async def work() -> None:
                await _send(served, context, served.handle(decoded()))

            await self._answered(served, context, work)

        return answer

    def _decoded(self, served: _Served, data: bytes) -> Any:
        if len(data) > self._bytes_max:
            raise errors.message_too_large(len(data), self._bytes_max)
        return served.decode(data)

    async def _answered(
        self,
        served: _Served,
        context: grpc.aio.ServicerContext,
        work: Callable[[], Awaitable[Any]],
    ) -> Any:
        """Return the result of `work`, or end the request with the error that it raises."""
        began_s = self._clock()
        served.began()
        task = asyncio.current_task()
        assert task is not None
        self._calls[task] = None
        code = Code.OK
        try:
            CALLER.set(self._caller(context))
            return await work()
        except RpcError as problem:
            code = problem.code
            await _refuse(context, problem)
        except asyncio.CancelledError:
            code = Code.CANCELED
            if not self._stopping or context.cancelled():
                raise
            code = errors.stopped().code
            await _refuse(context, errors.stopped())
        except Exception as problem:
            code = Code.INTERNAL
            self._log(
                "error",
                f"{served.method.path} failed",
                traceback="".join(traceback.format_exception(problem)),
            )
            await _refuse(context, RpcError(code, f"{type(problem).__name__}: {problem}"))
        finally:
            self._calls.pop(task)
            served.observe(code, self._clock() - began_s)

    def _caller(self, context: grpc.aio.ServicerContext) -> Caller:
        name = self._common_name(context.peer())
        if name is None:
            raise RpcError(Code.UNAUTHENTICATED, "not a connection of the client port")
        token, leader = "", False
        for key, value in context.invocation_metadata() or ():
            if key == "token" or (key == "authorization" and not token):
                token = value if isinstance(value, str) else value.decode("utf-8", "replace")
            elif key == "hasleader":
                leader = value == "true"
        return Caller("grpc", token, leader, name) if token or leader or name else _CALLER


async def _send(
    served: _Served, context: grpc.aio.ServicerContext, answers: AsyncGenerator[Any, None]
) -> None:
    """Send the responses of a stream. Whenever the client's flow-control window is full, wait."""
    try:
        async for answer in answers:
            await context.write(served.encode(answer))
    finally:
        await answers.aclose()


async def _refuse(context: grpc.aio.ServicerContext, problem: RpcError) -> NoReturn:
    await context.abort(_STATUS[problem.code], problem.message)
    raise AssertionError("`abort` raises an exception")


def _refusing(problem: RpcError) -> grpc.RpcMethodHandler:
    async def refuse(_requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> None:
        await _refuse(context, problem)

    return grpc.stream_stream_rpc_method_handler(refuse)
