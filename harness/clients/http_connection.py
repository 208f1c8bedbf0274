"""One persistent HTTP/1.1 connection of a client, for the load of a run.

A connection sends one POST at a time and reads the answer with httptools, the parser of Node.js. It
supports nothing else, so that a request costs little CPU time. On a machine with few cores, a slow
client would limit the rate of a run before the store does.

Source: RFC 9112, sections 6 and 7.
"""

from __future__ import annotations

import asyncio
import os
from typing import cast

import httptools

from splitbrain.harness.clients.tls import ClientTls

ANSWER_BYTES_MAX = 256 * 1024 * 1024


_LENGTHS = frozenset((len(b"content-length"), len(b"transfer-encoding")))
"""The lengths of the names of the headers that the client reads."""


class NotConnected(OSError):
    """Raised if no connection could be opened, so that nothing was sent."""


class ConnectionLost(OSError):
    """Raised if the connection ended after a request, or a part of it, was sent."""


class HttpConnection(asyncio.Protocol):
    """A persistent connection to one member. `connect` opens it.

    `ask` may be called only while `usable` is True.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._has_length = False
        self._until_end = False
        """Whether the answer has no length. Such an answer ends when the connection ends."""
        self._keep_alive = True
        self._give_up_at_s = 0.0
        """The time of the loop at which the present request times out."""
        self._check_at_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        """The next check for a timeout. All requests until then share it, because a timer for each
        request would cost more CPU time."""

    @property
    def usable(self) -> bool:
        return self._transport is not None and self._keep_alive and self._answer is None

    async def ask(self, request: bytes, timeout_s: float) -> tuple[int, bytes]:
        """Send `request`, a complete HTTP request, and return the answer's status and body.

        The errors are those of `send`.
        """
        try:
            return await self.send(request, timeout_s)
        except BaseException:
            self.close()
            raise

    def send(self, request: bytes, timeout_s: float) -> asyncio.Future[tuple[int, bytes]]:
        """Send `request`, a complete HTTP request. The future returns the status and the body.

        The future raises NotConnected, ConnectionLost, or TimeoutError after `timeout_s`. The
        caller must close the connection after an error, and also when it stops waiting for the
        answer. Otherwise a late answer could be taken for the answer to the next request.
        """
        if self._transport is None or self._answer is not None:
            raise NotConnected("the connection is closed or busy")
        answer = self._answer = self._loop.create_future()
        give_up_at_s = self._give_up_at_s = self._loop.time() + timeout_s
        if self._timer is None or self._check_at_s > give_up_at_s:
            self._set_timer(give_up_at_s)
        self._transport.write(request)
        return answer

    def close(self) -> None:
        """Close the connection and drop the data that is not sent yet.

        A second call has no effect.
        """
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self, check_at_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._check_at_s = check_at_s
        self._timer = self._loop.call_at(check_at_s, self._check_time)

    def _check_time(self) -> None:
        self._timer = None
        if self._answer is None:
            return
        if self._loop.time() < self._give_up_at_s:
            self._set_timer(self._give_up_at_s)
        else:
            self._fail(TimeoutError())

    # --- called by the loop ------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, problem: Exception | None) -> None:
        self._transport = None
        self.close()
        if self._until_end:
            self.on_message_complete()
        else:
            self._fail(ConnectionLost(str(problem or "closed by the member")))

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            self.close()  # unrequested data must not be taken for the next answer
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as problem:
            self._fail(ConnectionLost(f"not an HTTP answer: {problem}"))
            self.close()

    # --- called by the parser ------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._answer is None or self._answer.done():
            self._keep_alive = False  # more than one answer to one request
        self._body.clear()
        self._body_bytes = 0
        self._has_length = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(name) not in _LENGTHS:
            return
        name = name.lower()
        if name == b"content-length" or (name == b"transfer-encoding" and b"chunked" in value):
            self._has_length = True
            if name == b"content-length" and int(value) > ANSWER_BYTES_MAX:
                self._refuse_length()

    def on_headers_complete(self) -> None:
        self._keep_alive = self._keep_alive and self._parser.should_keep_alive()
        self._until_end = not self._has_length

    def on_body(self, part: bytes) -> None:
        self._body.append(part)
        self._body_bytes += len(part)
        if self._body_bytes > ANSWER_BYTES_MAX:
            self._refuse_length()

    def on_message_complete(self) -> None:
        self._until_end = False
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            body = self._body
            whole = body[0] if len(body) == 1 else b"".join(body)
            answer.set_result((self._parser.get_status_code(), whole))
        if not self._keep_alive:
            self.close()

    def _refuse_length(self) -> None:
        self._fail(
            ConnectionLost(f"not an HTTP answer: longer than {ANSWER_BYTES_MAX} bytes")
        )
        self.close()

    def _fail(self, problem: Exception) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(problem)


async def connect(
    host: str, port: int, timeout_s: float, tls: ClientTls | None = None
) -> HttpConnection:
    """Open a connection to a member. Raises NotConnected if that takes longer than `timeout_s`."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            connection = HttpConnection()
            context = None if tls is None else tls.context
            await loop.create_connection(lambda: connection, host, port, ssl=context)
    except TimeoutError as problem:
        raise NotConnected("timed out") from problem
    except OSError as problem:
        reason = os.strerror(problem.errno) if problem.errno else str(problem)
        raise NotConnected(reason) from problem
    return connection
