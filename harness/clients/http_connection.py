"""One kept-alive HTTP/1.1 connection of a client, for load.

One POST at a time, its answer read by httptools (the parser of Node.js), and nothing
around it: what a client does for a request decides whether the harness or the store is
what limits a run on few cores.

Source: RFC 9112, sections 6 and 7.
"""

from __future__ import annotations

import asyncio
import os
from typing import cast

import httptools

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
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._has_length = False
        self._until_end = False
        """Whether the answer has no length and ends with the connection."""
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
            answered: tuple[int, bytes] = await answer
            return answered
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
        if self._until_end:
            self.on_message_complete()
        else:
            self._fail(ConnectionLost(str(problem or "closed by the member")))

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            self.close()  # nobody asked: whatever it is, it must not answer the next request
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as problem:
            self._fail(ConnectionLost(f"not an HTTP answer: {problem}"))
            self.close()

    # --- what the parser calls -----------------------------------------------------

    def on_message_begin(self) -> None:
        if self._answer is None or self._answer.done():
            self._keep = False  # more than one answer to one request
        self._body.clear()
        self._body_bytes = 0
        self._has_length = False

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"content-length" or (name == b"transfer-encoding" and b"chunked" in value):
            self._has_length = True
            if name == b"content-length" and int(value) > ANSWER_BYTES_MAX:
                self._refuse_length()

    def on_headers_complete(self) -> None:
        self._keep = self._keep and self._parser.should_keep_alive()
        self._until_end = not self._has_length

    def on_body(self, part: bytes) -> None:
        self._body.append(part)
        self._body_bytes += len(part)
        if self._body_bytes > ANSWER_BYTES_MAX:
            self._refuse_length()

    def on_message_complete(self) -> None:
        self._until_end = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((self._parser.get_status_code(), b"".join(self._body)))
        if not self._keep:
            self.close()

    def _refuse_length(self) -> None:
        self._fail(
            ConnectionLost(f"not an HTTP answer: it is longer than {ANSWER_BYTES_MAX} bytes")
        )
        self.close()

    def _fail(self, problem: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(problem)

    def _give_up(self) -> None:
        self._fail(TimeoutError())


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
