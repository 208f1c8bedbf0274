"""One HTTP/2 connection to a member, for unary calls and streams of gRPC, by grpcio.

Any number of calls share a connection. The first call opens the connection. If the connection
breaks, the next call opens it again.

The errors of grpcio show whether a call may have reached the member. grpcio sends a call only on a
connection on which the member has answered. A call that fails because there is no such connection
was therefore certainly not sent. Retries are switched off, because a retried write could take
effect twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from splitbrain.harness.clients.grpc_library import grpc
from splitbrain.harness.clients.http_connection import (
    ANSWER_BYTES_MAX,
    ConnectionLost,
    NotConnected,
)
from splitbrain.harness.clients.tls import ClientTls
from splitbrain.node.messages.errors import Code, RpcError

RECONNECT_MS_MIN = 100
RECONNECT_MS_MAX = 200
"""While a member does not listen, a call fails at once. The connection is tried again after this
time."""

SEND_TIMEOUT_S = 10.0
"""How long the member may take to accept the first messages of a stream. Without this limit, a send
to a member that reads nothing would never end."""
LATE_S = 5.0
"""A call should end at its deadline. If it does not, it is cancelled after this additional time."""

_NO_CONNECTION = ("failed to connect to all addresses", "DNS resolution failed")
"""The beginnings of grpcio's error details if there was no connection on which the call could be
sent."""


class GrpcConnection:
    """A connection to the member at `target`, such as "127.0.0.1:2379", for one event loop.

    Opening the connection takes at most `connect_timeout_s`. If `window_bytes` is not 0, it is
    about the largest number of bytes that wait in a stream for the client to read them.
    """

    def __init__(
        self,
        target: str,
        connect_timeout_s: float,
        *,
        tls: ClientTls | None = None,
        window_bytes: int = 0,
    ) -> None:
        options = _options(connect_timeout_s, window_bytes)
        self._channel = (
            grpc.aio.insecure_channel(target, options=options) if tls is None
            else grpc.aio.secure_channel(target, tls.credentials(), options=options)
        )
        self._methods: dict[str, Callable[..., Any]] = {}

    async def unary(
        self, path: str, message: bytes, timeout_s: float, token: str = ""
    ) -> bytes:
        """Call the method `path`, such as "/etcdserverpb.KV/Put", and return its answer.

        `token` is the authentication token ("": none). Raises RpcError, NotConnected if the call
        was certainly not sent, ConnectionLost, or TimeoutError after `timeout_s`.
        """
        method = self._methods.get(path)
        if method is None:
            method = self._methods[path] = self._channel.unary_unary(path)
        try:
            metadata = (("token", token),) if token else None
            async with asyncio.timeout(timeout_s + LATE_S):
                answer: bytes = await method(message, timeout=timeout_s, metadata=metadata)
        except grpc.aio.AioRpcError as problem:
            raise _error(problem) from None
        return answer

    async def exchange(
        self, path: str, messages: Iterable[bytes], timeout_s: float, token: str = ""
    ) -> list[bytes]:
        """Send `messages` on one stream, close it, and return all messages of the member.

        The errors are those of `unary`.
        """
        async with asyncio.timeout(timeout_s + LATE_S):
            answers = self.stream(path, messages, closing=True, timeout_s=timeout_s, token=token)
            return [answer async for answer in answers]

    async def stream(
        self,
        path: str,
        messages: Iterable[bytes],
        *,
        closing: bool = False,
        timeout_s: float | None = None,
        token: str = "",
    ) -> AsyncIterator[bytes]:
        """Send `messages` on one stream, and yield the messages of the member.

        With `closing`, the client then closes its side of the stream. Otherwise it stays open.
        `timeout_s` limits the time of the whole stream.
        Raises RpcError, NotConnected or TimeoutError. Raises ConnectionLost if the connection
        breaks, or if the member does not accept `messages` within SEND_TIMEOUT_S.
        """
        metadata = (("token", token),) if token else None
        call = self._channel.stream_stream(path)(timeout=timeout_s, metadata=metadata)
        try:
            try:
                async with asyncio.timeout(SEND_TIMEOUT_S):
                    for message in messages:
                        await call.write(message)
                    if closing:
                        await call.done_writing()
            except TimeoutError:
                why = f"the member did not accept the requests within {SEND_TIMEOUT_S:g} s"
                raise ConnectionLost(why) from None
            except asyncio.InvalidStateError:
                pass  # the call has ended; reading raises its error
            while (answer := await call.read()) is not grpc.aio.EOF:
                yield answer
        except grpc.aio.AioRpcError as problem:
            raise _error(problem) from None
        finally:
            call.cancel()

    async def close(self) -> None:
        """Cancel the calls, and close the connection. A second call has no effect."""
        await self._channel.close()


def _options(connect_timeout_s: float, window_bytes: int) -> list[tuple[str, int]]:
    options = [
        ("grpc.enable_retries", 0),
        ("grpc.enable_http_proxy", 0),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_receive_message_length", ANSWER_BYTES_MAX),
        ("grpc.max_send_message_length", -1),
        ("grpc.initial_reconnect_backoff_ms", RECONNECT_MS_MIN),
        ("grpc.max_reconnect_backoff_ms", RECONNECT_MS_MAX),
        # In spite of its name, this option limits the time of one attempt to connect.
        ("grpc.min_reconnect_backoff_ms", round(connect_timeout_s * 1000)),
    ]
    if window_bytes:
        options += [("grpc.http2.lookahead_bytes", window_bytes), ("grpc.http2.bdp_probe", 0)]
    return options


def _error(problem: grpc.aio.AioRpcError) -> Exception:
    """Convert the error of a call, which came from the member or from grpcio itself.

    Returns an RpcError, NotConnected, ConnectionLost or TimeoutError.
    """
    code, details = Code(problem.code().value[0]), problem.details() or ""
    if code is Code.DEADLINE_EXCEEDED:
        return TimeoutError()
    if code is Code.UNAVAILABLE and details.startswith(_NO_CONNECTION):
        return NotConnected(details)
    if code in (Code.UNAVAILABLE, Code.CANCELED) and not details.startswith("etcdserver: "):
        return ConnectionLost(details)
    return RpcError(code, details)
