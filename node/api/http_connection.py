"""A client's connection, for as long as its requests have the usual form.

aiohttp costs ten times what the rest of a small request costs. So a connection starts
out here, where a POST to a known method with a Content-Length and nothing unusual in
its head is answered at once; with the first request of any other form the connection
is handed over to aiohttp, for good. Nothing is ever parsed here that is not plain.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import cast

HEAD_BYTES_MAX = 8192
HEADS_KEPT_MAX = 256
"""Heads already understood: clients repeat themselves."""

Unary = Callable[[bytes], Awaitable[tuple[int, bytes]]]
"""An HTTP body in; status and body out."""

_HEAD = re.compile(rb"POST (/v3/[a-z/]+) HTTP/1\.1\r\n(?:[!-9;-~]+:[^\r\n\x00]*\r\n)+\r\n\Z")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*\r\n")
_UNUSUAL = re.compile(
    rb"\r\n(?:transfer-encoding|content-encoding|connection|expect|upgrade|te|trailer"
    rb"|x-http-method-override):(?![ \t]*keep-alive[ \t]*\r\n)"
)


class QuickConnection(asyncio.Protocol):
    """`hand_over` makes the protocol that takes over; `connections` holds this one for
    as long as it is here. `body_bytes_max`: larger requests are aiohttp's to refuse."""

    def __init__(
        self,
        unary: dict[str, Unary],
        head_bytes: dict[int, bytes],
        hand_over: Callable[[], asyncio.Protocol],
        connections: dict[QuickConnection, None],
        body_bytes_max: int,
    ) -> None:
        self._unary = unary
        self._head_bytes = head_bytes
        self._hand_over = hand_over
        self._connections = connections
        self._body_bytes_max = body_bytes_max
        self._heads: dict[bytes, tuple[Unary, int]] = {}
        self._received = b""
        self._task: asyncio.Task[None] | None = None
        self._full = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)
        self._connections[self] = None

    def connection_lost(self, _problem: Exception | None) -> None:
        self._connections.pop(self, None)
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._next()

    def data_received(self, data: bytes) -> None:
        self._received = self._received + data if self._received else data
        if self._task is None:
            self._next()
        elif len(self._received) > self._body_bytes_max and self._transport is not None:
            self._transport.pause_reading()

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
        if self._transport is not None:
            self._transport.close()

    def _next(self) -> None:
        """Begin with the next request, if it is all there."""
        if self._task is not None or self._full or not self._received:
            return
        data = self._received
        end = data.find(b"\r\n\r\n", 0, HEAD_BYTES_MAX) + 4
        if end < 4:
            # Part of a head: aiohttp puts it together.
            self._give_up()
            return
        head = data[:end]
        known = self._heads.get(head) or self._understand(head)
        if known is None:
            self._give_up()
            return
        unary, length = known
        if len(data) < end + length:
            return
        self._received = data[end + length :]
        self._task = asyncio.get_running_loop().create_task(
            self._answer(unary, data[end : end + length])
        )

    def _understand(self, head: bytes) -> tuple[Unary, int] | None:
        match = _HEAD.match(head)
        lower = head.lower()
        lengths = _LENGTH.findall(lower)
        if (
            match is None
            or len(lengths) != 1
            or lower.count(b"content-length") != 1
            or _UNUSUAL.search(lower)
        ):
            return None
        unary = self._unary.get(match.group(1).decode())
        length = int(lengths[0])
        if unary is None or length > self._body_bytes_max:
            return None
        if len(self._heads) >= HEADS_KEPT_MAX:
            self._heads.clear()
        self._heads[head] = unary, length
        return unary, length

    async def _answer(self, unary: Unary, body: bytes) -> None:
        try:
            status, answer = await unary(body)
        except Exception as problem:
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a request handler failed", "exception": problem, "protocol": self}
            )
            status, answer = 500, b'{"error":"internal error","code":13,"message":"internal error"}'
        assert self._transport is not None
        self._transport.write(
            b"%b%d\r\n\r\n%b"
            % (self._head_bytes.get(status) or _plain_head(status), len(answer), answer)
        )
        self._task = None
        self._transport.resume_reading()
        self._next()

    def _give_up(self) -> None:
        """Let aiohttp have the connection, with what was not answered yet."""
        transport, self._transport = self._transport, None
        assert transport is not None
        self._connections.pop(self, None)
        protocol = self._hand_over()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(self._received)


def head_bytes(status: int, headers: dict[str, str]) -> bytes:
    """An answer's head up to the value of Content-Length."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "Content-Length: "]).encode()


def _plain_head(status: int) -> bytes:
    return head_bytes(status, {"Content-Type": "application/json"})
