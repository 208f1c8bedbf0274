"""A client of a v3 store over its JSON gateway, for load.

All clients of a run share one `GatewayClient` and its idle connections; a client has
one request under way at a time, so there are at most as many connections to a member
as there are clients.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from splitbrain.harness.clients.http_connection import HttpConnection, connect
from splitbrain.harness.clients.json_codec import decode_error
from splitbrain.harness.clients.member_status import STATUS, STATUS_TIMEOUT_S, Status, decode_status
from splitbrain.harness.clients.outcome import of_exception, of_status
from splitbrain.harness.clients.service_codec import decode_any, encode_any
from splitbrain.harness.clients.watch_client import watch
from splitbrain.harness.clients.watch_codec import WatchAnswer
from splitbrain.harness.errors import SystemFailed
from splitbrain.histories.service import AnyRequest, AnyResult
from splitbrain.histories.watch import WatchRequest


@dataclass(frozen=True, slots=True)
class Completion:
    """What became of a request: `result` for `ok`, `error` for `fail` and `info`."""

    outcome: Literal["ok", "fail", "info"]
    result: AnyResult | None = None
    error: str = ""


@dataclass(slots=True)
class _Member:
    """One member's address, and the connections to it that are not in use."""

    host: str
    port: int
    authority: bytes
    idle: list[HttpConnection] = field(default_factory=list)


class GatewayClient:
    """Sends requests and says what became of them; never raises for a store's failure.

    Never retries: a retried write could happen twice under one record. Made and closed
    by `open_clients`.
    """

    def __init__(self, timeout_ms: int) -> None:
        self._timeout_s = timeout_ms / 1000
        self._members: dict[str, _Member] = {}

    async def call(self, url: str, request: AnyRequest) -> Completion:
        """`url` is the member's client URL, http, without a path."""
        path, body = encode_any(request)
        member = self._member(url)
        try:
            connection = await self._connection(member)
            status, answer = await connection.ask(_post(member, path, body), self._timeout_s)
        except OSError as error:  # a timeout is one too
            outcome, text = of_exception(request, error)
            return Completion(outcome, None, text)
        if connection.usable:
            member.idle.append(connection)
        if status != 200:
            outcome, text = of_status(request, status, decode_error(answer))
            return Completion(outcome, None, text)
        return _answered(request, answer)

    def watch(self, url: str, request: WatchRequest) -> AsyncGenerator[WatchAnswer, None]:
        """Over a connection of its own. Raises OSError as it goes."""
        return watch(url, request)

    async def status(self, url: str) -> Status | None:
        """What the member says of itself; None if it does not answer."""
        member = self._member(url)
        try:
            connection = await self._connection(member)
            code, answer = await connection.ask(_post(member, STATUS, b"{}"), STATUS_TIMEOUT_S)
            if connection.usable:
                member.idle.append(connection)
            return decode_status(answer) if code == 200 else None
        except (OSError, msgspec.MsgspecError):
            return None

    def close(self) -> None:
        """Close idle connections. Safe to call twice."""
        for member in self._members.values():
            while member.idle:
                member.idle.pop().close()

    async def _connection(self, member: _Member) -> HttpConnection:
        while member.idle:
            connection = member.idle.pop()
            if connection.usable:
                return connection
        return await connect(member.host, member.port, self._timeout_s)

    def _member(self, url: str) -> _Member:
        member = self._members.get(url)
        if member is None:
            parts = urlsplit(url)
            if parts.scheme != "http" or parts.hostname is None:
                raise SystemFailed(
                    f"the system gives {url!r} for a member: expected http://HOST:PORT"
                )
            member = _Member(parts.hostname, parts.port or 80, parts.netloc.encode())
            self._members[url] = member
        return member


def _post(member: _Member, path: str, body: bytes) -> bytes:
    return (
        b"POST %b HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (path.encode(), member.authority, len(body), body)
    )


def _answered(request: AnyRequest, answer: bytes) -> Completion:
    try:
        return Completion("ok", decode_any(request, answer))
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        # The store said that it succeeded; what it said besides cannot be read, so
        # it cannot be judged, and must not count as not having happened.
        return Completion("info", None, f"answer not understood: {problem}: {answer[:120]!r}")


@contextlib.asynccontextmanager
async def open_clients(timeout_ms: int) -> AsyncIterator[GatewayClient]:
    """A client for as long as the context lasts, each request with so long to be answered."""
    client = GatewayClient(timeout_ms)
    try:
        yield client
    finally:
        client.close()
