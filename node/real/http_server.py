"""Creates the connections of HTTP/1 clients, and closes them."""

from __future__ import annotations

import asyncio

from splitbrain.node.api.http import HttpGateway
from splitbrain.node.api.member_interface import Log
from splitbrain.node.real.http_connection import HttpConnection

KEEPALIVE_S = 75
"""A connection without a request is closed after about this time."""
CHECK_S = 5
"""How often the server looks for connections without a request, in seconds."""
CLOSE_S = 1.0
"""How long a stopping server waits for the requests in progress, in seconds."""


class HttpServer:
    """The connections of all HTTP/1 clients of one gateway. It must be created in a loop."""

    def __init__(self, gateway: HttpGateway, log: Log) -> None:
        self._gateway = gateway
        self._log = log
        self._connections: dict[HttpConnection, None] = {}
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(CHECK_S, self._close_silent)

    def connection(self) -> HttpConnection:
        """Return the protocol of a new connection."""
        return HttpConnection(self._gateway, self._log, self._connections)

    def _close_silent(self) -> None:
        self._timer = self._loop.call_later(CHECK_S, self._close_silent)
        for connection in list(self._connections):
            if connection.is_silent(KEEPALIVE_S // CHECK_S):
                connection.abort()

    async def close(self) -> None:
        """Close the connections. Requests in progress have a second to end."""
        self._timer.cancel()
        open_now = list(self._connections)
        if open_now:
            await asyncio.wait([one.end() for one in open_now], timeout=CLOSE_S)
        for connection in list(self._connections):
            connection.abort()
