"""Defines the HTTP requests that the gateway handles, and its answers.

`splitbrain.node.real.http_connection` creates the requests and sends the answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

MALFORMED = "malformed HTTP request"
"""The message in the member's log for a request that cannot be parsed."""
UNREAD_BYTES_MAX = 256 * 1024
"""The client has to wait while more bytes of a stream's requests than this are not read."""


class BodyTooLarge(Exception):
    """The body of a request is larger than the limit."""


class Body:
    """The body of a request, which arrives in pieces.

    A caller reads the body in one of two ways:

    - `read` returns the whole body, of at most `bytes_max` bytes.
    - `next_pieces` returns the pieces that have arrived. When too many bytes wait, `pause` is
      called. When these bytes are read, `resume` is called.
    """

    __slots__ = (
        "_bytes_max", "_in_pieces", "_pause", "_paused", "_pieces", "_resume", "_size", "_waiter",
        "ended",
    )  # fmt: skip

    def __init__(
        self, bytes_max: int, pause: Callable[[], None], resume: Callable[[], None]
    ) -> None:
        self._bytes_max = bytes_max
        self._pause = pause
        self._resume = resume
        self._paused = False
        self._in_pieces = False
        self._pieces: list[bytes] = []
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self.ended = False

    def add(self, piece: bytes) -> None:
        """Add a piece that has arrived."""
        self._size += len(piece)
        if not self._in_pieces and self.too_large:
            self._pieces.clear()
        else:
            self._pieces.append(piece)
        if self._in_pieces and self._size > UNREAD_BYTES_MAX and not self._paused:
            self._paused = True
            self._pause()
        self._wake()

    def end(self) -> None:
        self.ended = True
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    @property
    def too_large(self) -> bool:
        return self._size > self._bytes_max

    async def read(self) -> bytes:
        """Return the whole body. Raises BodyTooLarge."""
        while not (self.ended or self.too_large):
            await self._wait()
        if self.too_large:
            raise BodyTooLarge
        pieces = self._pieces
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def next_pieces(self) -> bytes:
        """Return the pieces that have arrived since the last call, or b"" at the body's end."""
        self._in_pieces = True
        while not (self._pieces or self.ended):
            await self._wait()
        found = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        if self._paused:
            self._paused = False
            self._resume()
        return found

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter


@dataclass(slots=True)
class HttpRequest:
    """A request. `path` is decoded, and `query` is not.

    `authorization` and `has_leader` are the values of the headers Authorization and
    Grpc-Metadata-Hasleader. `old` says that the client speaks HTTP/1.0, and `keep_alive` that the
    client may send further requests on the connection. With `expects_continue`, the client sends
    the body only after the interim answer 100.
    """

    method: str
    path: str
    query: str
    body: Body
    authorization: str = ""
    has_leader: str = ""
    keep_alive: bool = True
    old: bool = False
    expects_continue: bool = False


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A complete answer. `head` is the status line and the headers, as `head_of` returns them."""

    head: bytes
    body: bytes


def head_of(status: int, headers: Mapping[str, str]) -> bytes:
    """Return the status line and `headers`, without the headers that describe the connection."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"]
    lines.extend(f"{name}: {value}\r\n" for name, value in headers.items())
    return "".join(lines).encode("latin-1", "replace")


class AnswerStream(Protocol):
    """Sends the pieces of an answer as they are created."""

    @property
    def started(self) -> bool:
        """Whether the head of the answer has been sent."""
        ...

    async def write(self, piece: bytes) -> None:
        """Send a piece. The first piece is sent with the head.

        Waits while the client reads too slowly. Raises ConnectionError if the client is gone.
        """
        ...
