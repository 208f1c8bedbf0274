"""Serves HTTP/1 to clients: passes their requests to the gateway, and sends its answers.

A connection handles one request at a time, and answers pipelined requests in their order.

Source: RFC 9112.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections import deque
from collections.abc import Callable, Coroutine
from email.utils import formatdate
from functools import lru_cache
from typing import Any, cast

from splitbrain.node.api.http import OK_HEAD, HttpGateway, Streamer
from splitbrain.node.api.http_message import MALFORMED, Body, HttpAnswer, HttpRequest, head_of
from splitbrain.node.api.member_interface import Log
from splitbrain.node.real.eager_call import EagerCall
from splitbrain.node.real.http_reader import Malformed, RequestReader

PIPELINED_MAX = 64
"""The client has to wait while more requests than this wait to be answered."""

_TEXT = {"Content-Type": "text/plain; charset=utf-8"}
_BAD_REQUEST = HttpAnswer(head_of(400, _TEXT), b"Bad Request\n")
_FAILED = HttpAnswer(head_of(500, _TEXT), b"Internal Server Error\n")


class HttpConnection(asyncio.Protocol):
    """The connection of one client. While it is open, `connections` contains it."""

    def __init__(
        self, gateway: HttpGateway, log: Log, connections: dict[HttpConnection, None]
    ) -> None:
        self._gateway = gateway
        self._log = log
        self._connections = connections
        self._reader = RequestReader(self._new_body, self._arrived, self._advance)
        self._transport: asyncio.Transport
        self._waiting: deque[tuple[HttpRequest, Streamer | None]] = deque()
        self._answering: HttpRequest | None = None
        self._call: EagerCall[HttpAnswer] | asyncio.Task[None] | None = None
        self._advancing = False
        self._reading_paused = False
        self._writable: asyncio.Future[None] | None = None
        """Set while the client reads too slowly: done when data can be sent again."""
        self._ending = False
        """Whether the connection ends after the present answer, or has ended."""
        self._closed: asyncio.Future[None] | None = None
        self._malformed = False
        self._silent_checks = 0
        """How often `is_silent` was called since the last bytes of the client."""

    # --- called by the loop ------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connections[self] = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.pop(self, None)
        self._ending = True
        self._waiting.clear()
        if self._call is not None:
            self._call.cancel()
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._silent_checks = 0
        if self._malformed:
            return
        try:
            self._reader.feed(data)
        except Malformed as problem:
            self._refuse(problem)

    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)
        self._advance()

    # --- called by the server ------------------------------------------------------

    def is_silent(self, checks_max: int) -> bool:
        """Return whether the connection was silent for more than `checks_max` calls of this method.

        A connection is silent if no request is being answered and the client sends nothing. After a
        malformed request, the connection counts as silent at once.
        """
        self._silent_checks += 1
        return self._answering is None and (self._malformed or self._silent_checks > checks_max)

    def end(self) -> asyncio.Future[None]:
        """Close the connection after the present answer. Further requests are ignored.

        The returned future is done when the connection is closed.
        """
        self._ending = True
        self._closed = asyncio.get_running_loop().create_future()
        if self._answering is None:
            self._transport.close()
        return self._closed

    def abort(self) -> None:
        if not self._transport.is_closing():
            self._transport.abort()

    # --- requests ------------------------------------------------------------------

    def _new_body(self) -> Body:
        return Body(self._gateway.body_bytes_max, self._pause_reading, self._resume_reading)

    def _pause_reading(self) -> None:
        if not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._reading_paused and not self._transport.is_closing():
            self._reading_paused = False
            self._transport.resume_reading()

    def _arrived(self, request: HttpRequest) -> None:
        """Put a request into the queue. Its body is not complete yet."""
        streamer = self._gateway.streamer(request)
        self._waiting.append((request, streamer))
        if streamer is not None or request.expects_continue:
            self._advance()
        elif len(self._waiting) > PIPELINED_MAX:
            self._pause_reading()

    def _advance(self) -> None:
        """Handle the next requests, in their order, as far as they are complete."""
        if self._advancing:
            return
        self._advancing = True
        try:
            while self._can_begin():
                self._begin(*self._waiting.popleft())
        finally:
            self._advancing = False
        if self._waiting and self._answering is None:
            self._invite(self._waiting[0][0])
        if self._answering is not None or self._waiting:
            return
        if self._reading_paused:
            self._resume_reading()
        if self._malformed and not self._ending:
            self._end_malformed()

    def _can_begin(self) -> bool:
        if not self._waiting or self._answering is not None or self._ending:
            return False
        request, streamer = self._waiting[0]
        body = request.body
        return self._writable is None and (
            body.ended or streamer is not None or body.too_large
        )

    def _invite(self, request: HttpRequest) -> None:
        """Send the interim answer 100 if the client waits for it before it sends the body."""
        if request.expects_continue and not request.body.ended:
            request.expects_continue = False
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _begin(self, request: HttpRequest, streamer: Streamer | None) -> None:
        self._answering = request
        if streamer is not None:
            self._invite(request)
            answering = self._answer_stream(request, streamer)
            self._call = asyncio.get_running_loop().create_task(answering)
            return
        call = EagerCall(self._gateway.handle(request), self._answered)
        if self._answering is request:
            self._call = call

    def _refuse(self, problem: Malformed) -> None:
        """Answer the requests that arrived before a malformed request, and end the connection."""
        client = (self._transport.get_extra_info("peername") or ("unknown",))[0]
        self._log("warn", MALFORMED, client=client, why=str(problem))
        self._malformed = True
        if self._waiting and not self._waiting[-1][0].body.ended:
            self._waiting.pop()
        if self._answering is not None and not self._answering.body.ended:
            self.abort()
        self._advance()

    def _end_malformed(self) -> None:
        """Send the answer 400, and close the connection when the client has closed it.

        If it were closed at once, bytes of the client that arrive later would reset the connection,
        and the client might not receive the answer.
        """
        self._ending = True
        self._write(_BAD_REQUEST, b"Connection: close\r\n")
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    # --- answers -------------------------------------------------------------------

    def _answered(self, answer: HttpAnswer | None, problem: BaseException | None) -> None:
        request, self._answering, self._call = self._answering, None, None
        assert request is not None
        if isinstance(problem, asyncio.CancelledError):
            self.abort()
            return
        if problem is not None:
            self._log_failure(problem)
        self._send(request, answer or _FAILED)
        self._advance()

    def _log_failure(self, problem: BaseException) -> None:
        lines = "".join(traceback.format_exception(problem))
        self._log("error", "a request failed", traceback=lines)

    def _send(self, request: HttpRequest, answer: HttpAnswer) -> None:
        keep = request.keep_alive and not self._ending
        if self._transport.is_closing():
            return
        connection = b"" if keep else b"Connection: close\r\n"
        if keep and request.old:
            connection = b"Connection: keep-alive\r\n"
        self._write(answer, connection, with_body=request.method != "HEAD")
        if not keep:
            self._ending = True
            self._transport.close()

    def _write(self, answer: HttpAnswer, connection: bytes, *, with_body: bool = True) -> None:
        body = answer.body
        self._transport.write(
            b"%bDate: %b\r\n%bContent-Length: %d\r\n\r\n%b"
            % (answer.head, _date(int(time.time())), connection, len(body), body * with_body)
        )

    async def _answer_stream(self, request: HttpRequest, streamer: Streamer) -> None:
        output = _AnswerStream(self._transport, self._drained, chunked=not request.old)
        answer: HttpAnswer | None = _FAILED
        try:
            answer = await streamer(request, output)
        except (ConnectionError, asyncio.CancelledError):
            self.abort()
            return
        except Exception as problem:
            self._log_failure(problem)
            if output.started:
                self.abort()
                return
        self._answering = self._call = None
        if answer is not None:
            self._send(request, answer)
        else:
            output.end()
        if not (request.body.ended and request.keep_alive) or self._ending:
            # The rest of the body would be taken for requests, or no request may follow.
            self._ending = True
            self._transport.close()
        self._advance()

    async def _drained(self) -> None:
        if self._writable is not None:
            await self._writable


class _AnswerStream:
    """Sends an answer in pieces.

    With `chunked`, the pieces are sent as HTTP chunks. Otherwise the end of the connection shows
    the client where the answer ends.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        drained: Callable[[], Coroutine[Any, Any, None]],
        *,
        chunked: bool,
    ) -> None:
        self._transport = transport
        self._drained = drained
        self._chunked = chunked
        self.started = False

    async def write(self, piece: bytes) -> None:
        if self._transport.is_closing():
            raise ConnectionResetError("the client has disconnected")
        head = b"" if self.started else self._head()
        self.started = True
        framed = b"%x\r\n%b\r\n" % (len(piece), piece) if self._chunked else piece
        self._transport.write(head + framed)
        await self._drained()

    def _head(self) -> bytes:
        framing = b"Transfer-Encoding: chunked" if self._chunked else b"Connection: close"
        return b"%bDate: %b\r\n%b\r\n\r\n" % (OK_HEAD, _date(int(time.time())), framing)

    def end(self) -> None:
        if self._chunked and not self._transport.is_closing():
            self._transport.write(b"0\r\n\r\n")


@lru_cache(maxsize=1)
def _date(second: int) -> bytes:
    """Return the value of the header Date."""
    return formatdate(second, usegmt=True).encode()
