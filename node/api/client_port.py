"""Listens for clients, and serves the API over HTTP."""

from __future__ import annotations

import asyncio
import errno
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from splitbrain.node.api.http import HttpGateway
from splitbrain.node.api.http_log import http_logger
from splitbrain.node.api.ports import Log
from splitbrain.node.api.v3_service import Api
from splitbrain.node.world import AddressInUse, Closable

KEEPALIVE_S = 75.0
SHUTDOWN_S = 1.0
"""How long a stopping server waits for requests in progress."""


def _server(http: HttpGateway, log: Log) -> web.Server:
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


class _Listening:
    def __init__(
        self, http: HttpGateway, server: web.Server, listener: asyncio.Server
    ) -> None:
        self._http = http
        self._server = server
        self._listener = listener

    async def close(self) -> None:
        self._listener.close()
        self._http.end_streams()
        await self._server.shutdown(SHUTDOWN_S)


async def serve(url: str, api: Api, log: Log) -> Closable:
    """Serve `api` at `url` ("http://127.0.0.1:2379").

    `log` gets one line for each malformed request. Raises AddressInUse.
    """
    parts = urlsplit(url)
    if parts.hostname is None or parts.port is None:
        raise ValueError(f"{url!r} is not a usable address; expected http://HOST:PORT")
    http = HttpGateway(api, log)
    server = _server(http, log)
    try:
        listener = await asyncio.get_running_loop().create_server(
            server, parts.hostname, parts.port, backlog=1024
        )
    except OSError as problem:
        if problem.errno == errno.EADDRINUSE:
            raise AddressInUse(
                f"something else listens on {url}; give the member another address"
            ) from problem
        raise AddressInUse(f"cannot listen on {url}: {problem.strerror or problem}") from problem
    return _Listening(http, server, listener)
