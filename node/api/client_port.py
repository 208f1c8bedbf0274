"""Listens for clients, and serves gRPC and HTTP/1 on one port.

The first bytes of a connection decide how it is served. Bytes that begin with the preface of HTTP/2
are for gRPC, and all others for HTTP/1. The protocol that is chosen takes over the transport, so no
later byte is copied or forwarded.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from splitbrain.node.api.grpc_server import GrpcServer
from splitbrain.node.api.http import HttpGateway
from splitbrain.node.api.http_log import http_logger
from splitbrain.node.api.ports import Log
from splitbrain.node.api.v3_service import Api
from splitbrain.node.api.world import Carriers
from splitbrain.node.http2.frames import PREFACE
from splitbrain.node.world import AddressInUse, Closable

KEEPALIVE_S = 75.0
SHUTDOWN_S = 1.0
"""How long a stopping server waits for requests in progress."""

MakeProtocol = Callable[[], asyncio.Protocol]


class _FirstBytes(asyncio.Protocol):
    """A new connection, until its first bytes decide which protocol serves it."""

    def __init__(
        self, grpc: MakeProtocol, http: MakeProtocol, undecided: dict[asyncio.Transport, None]
    ) -> None:
        self._grpc = grpc
        self._http = http
        self._undecided = undecided
        self._transport: asyncio.Transport | None = None
        self._first = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._undecided[self._transport] = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._undecided.pop(self._transport, None)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        first = self._first = self._first + data
        if len(first) < len(PREFACE) and PREFACE.startswith(first):
            return
        make = self._grpc if first.startswith(PREFACE) else self._http
        chosen, transport = make(), self._transport
        self._undecided.pop(transport)
        transport.set_protocol(chosen)
        chosen.connection_made(transport)
        chosen.data_received(first)


def _http_server(http: HttpGateway, log: Log) -> web.Server:
    """Return aiohttp's low-level server, with a limit on the size of bodies.

    When a client disconnects, the handler of its request is cancelled. Otherwise the handler of a
    watch without events would not notice that the client has disconnected.
    """
    loop = asyncio.get_running_loop()

    def make(
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: Any,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        return web.BaseRequest(
            message, payload, protocol, writer, task, loop, client_max_size=http.body_bytes_max
        )

    return web.Server(
        http.handle,
        request_factory=make,
        handler_cancellation=True,
        logger=http_logger(log),
        access_log=None,
        keepalive_timeout=KEEPALIVE_S,
    )


class ClientPort:
    """Serves one `Api` by the given carriers. `listen` opens its port."""

    def __init__(self, api: Api, log: Log, carriers: Carriers) -> None:
        self._gateway = HttpGateway(api, log)
        self._http = _http_server(self._gateway, log)
        self._grpc = GrpcServer(api, log)
        self._carriers = carriers
        self._undecided: dict[asyncio.Transport, None] = {}
        self._listener: asyncio.Server | None = None

    def _protocol(self) -> asyncio.Protocol:
        if self._carriers is Carriers.HTTP:
            return self._http()
        if self._carriers is Carriers.GRPC:
            return self._grpc.connection()
        return _FirstBytes(self._grpc.connection, self._http, self._undecided)

    async def listen(self, url: str) -> None:
        """Listen at `url` ("http://127.0.0.1:2379"). Raises AddressInUse."""
        parts = urlsplit(url)
        if parts.hostname is None or parts.port is None:
            raise ValueError(f"{url!r} is not a usable address; expected http://HOST:PORT")
        try:
            self._listener = await asyncio.get_running_loop().create_server(
                self._protocol, parts.hostname, parts.port, backlog=1024
            )
        except OSError as problem:
            if problem.errno == errno.EADDRINUSE:
                raise AddressInUse(
                    f"something else listens on {url}; give the member another address"
                ) from problem
            raise AddressInUse(
                f"cannot listen on {url}: {problem.strerror or problem}"
            ) from problem

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        for transport in list(self._undecided):
            transport.abort()
        self._grpc.close()
        self._gateway.end_streams()
        await self._http.shutdown(SHUTDOWN_S)


async def serve(
    url: str, api: Api, log: Log, carriers: Carriers = Carriers.BOTH
) -> Closable:
    """Serve `api` at `url`, and return what closes the port. Raises AddressInUse.

    `log` gets one line for each malformed request.
    """
    port = ClientPort(api, log, carriers)
    await port.listen(url)
    return port
