"""A client of an etcd v3 store over its JSON gateway, for the load of a run.

All clients of a run share one `GatewayClient` and its idle connections. A client of the run has at
most one pending request, so the number of connections to a member never exceeds the number of
clients.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import msgspec

from splitbrain.harness.clients.completion import (
    Completion,
    completion_of_answer,
    completion_of_exception,
)
from splitbrain.harness.clients.http_connection import HttpConnection, connect
from splitbrain.harness.clients.json_messages import STATUS_PATH, ServiceAnswer, Status
from splitbrain.harness.clients.member_state import STATUS_TIMEOUT_S, decode_status
from splitbrain.harness.clients.observation import observe
from splitbrain.harness.clients.service_codec import decode_line, encode_any
from splitbrain.harness.clients.session import EtcdClient, StatusRefused
from splitbrain.harness.clients.tls import ClientTls
from splitbrain.harness.clients.watch_client import stream_lines, watch
from splitbrain.harness.clients.watch_codec import WatchAnswer
from splitbrain.harness.errors import SystemFailed
from splitbrain.histories.lock_and_election import Observe
from splitbrain.histories.service_operation import AnyRequest, token_of
from splitbrain.histories.watch import WatchRequest


@dataclass(slots=True)
class _Member:
    """The address of one member, and the open connections to it that no request uses."""

    host: str
    port: int
    authority: bytes
    idle: list[HttpConnection] = field(default_factory=list)
    heads: dict[str, bytes] = field(default_factory=dict)
    """The first headers of a request. The key is the path."""

    def take(self) -> HttpConnection | None:
        """Remove a usable idle connection from the list, and return it; None if there is none."""
        idle = self.idle
        while idle:
            connection = idle.pop()
            if connection.usable:
                return connection
        return None

    def post(self, path: str, body: bytes, token: str = "") -> bytes:
        """Return the bytes of the HTTP request that posts `body` to `path`.

        `token` is the authentication token ("": none).
        """
        head = self.heads.get(path)
        if head is None:
            head = self.heads[path] = (
                b"POST %b HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\n"
                b"Content-Length: " % (path.encode(), self.authority)
            )
        authorization = b"\r\nAuthorization: %b" % token.encode() if token else b""
        return b"%b%d%b\r\n\r\n%b" % (head, len(body), authorization, body)


class GatewayClient(EtcdClient):
    """Sends requests as JSON over HTTP and returns their outcomes. `open_clients` creates one.

    An error of the member or of the connection is returned as an outcome, not raised. A request is
    never sent twice, because a retried write could take effect twice although the history records
    it once.
    """

    def __init__(self, timeout_ms: int, tls: ClientTls | None = None) -> None:
        self._timeout_s = timeout_ms / 1000
        self._tls = tls
        self._members: dict[str, _Member] = {}

    async def call(self, url: str, request: AnyRequest) -> Completion:
        """Send `request` to the member whose client URL is `url`, such as http://HOST:PORT."""
        path, body = encode_any(request)
        if isinstance(request, Observe):
            return await observe(request, self._leaders(url + path, body))
        member = self._members.get(url) or self._member(url)
        message = member.post(path, body, token_of(request))
        try:
            connection = member.take() or await self._connect(member)
            try:
                status, answer = await connection.send(message, self._timeout_s)
            except BaseException:
                connection.close()
                raise
        except OSError as error:  # TimeoutError is a subclass of OSError
            return completion_of_exception(request, error)
        member.idle.append(connection)
        return completion_of_answer(request, status, answer)

    async def _leaders(self, url: str, body: bytes) -> AsyncGenerator[ServiceAnswer, None]:
        """Yield the answers of an election's leaders. Raises OSError or msgspec.MsgspecError."""
        async for line in stream_lines(url, body, tls=self._tls):
            yield decode_line(line)

    def watch(
        self, url: str, requests: Sequence[WatchRequest], *, small_buffers: bool = False
    ) -> AsyncGenerator[WatchAnswer, None]:
        """Open the watches `requests` on a separate connection, and yield their answers.

        With `small_buffers`, few answers wait between the member and this client. Raises OSError if
        the connection fails.
        """
        return watch(url, requests, small_buffers=small_buffers, tls=self._tls)

    async def status(self, url: str, token: str = "") -> Status | None:
        member = self._member(url)
        try:
            connection = member.take() or await self._connect(member)
            request = member.post(STATUS_PATH, b"{}", token)
            code, answer = await connection.ask(request, STATUS_TIMEOUT_S)
            member.idle.append(connection)
            if code == 200:
                return decode_status(answer)
        except (OSError, msgspec.MsgspecError):
            return None
        raise StatusRefused(answer.decode(errors="replace"))

    def close(self) -> None:
        """Close the connections that no request uses. A second call has no effect."""
        for member in self._members.values():
            while member.idle:
                member.idle.pop().close()

    async def _connect(self, member: _Member) -> HttpConnection:
        return await connect(member.host, member.port, self._timeout_s, self._tls)

    def _member(self, url: str) -> _Member:
        member = self._members.get(url)
        if member is None:
            parts = urlsplit(url)
            scheme, default_port = ("http", 80) if self._tls is None else ("https", 443)
            if parts.scheme != scheme or parts.hostname is None:
                raise SystemFailed(
                    f"the system gives {url!r} as the client URL of a member; "
                    f"expected {scheme}://HOST:PORT"
                )
            port = parts.port or default_port
            member = _Member(parts.hostname, port, parts.netloc.encode())
            self._members[url] = member
        return member


@contextlib.asynccontextmanager
async def open_clients(
    timeout_ms: int, tls: ClientTls | None = None
) -> AsyncIterator[GatewayClient]:
    """Open a client, and close it at the end of the context.

    Each of its requests times out after `timeout_ms`.
    """
    client = GatewayClient(timeout_ms, tls)
    try:
        yield client
    finally:
        client.close()
