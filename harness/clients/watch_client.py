"""The watches of one connection over a member's JSON gateway, as a stream of answers."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import aiohttp

from splitbrain.harness.clients.http_connection import ConnectionLost, NotConnected
from splitbrain.harness.clients.kv_codec import decode_error
from splitbrain.harness.clients.member_state import CONNECT_TIMEOUT_S, lines
from splitbrain.harness.clients.tls import ClientTls
from splitbrain.harness.clients.watch_codec import (
    WATCH,
    WatchAnswer,
    decode_line,
    encode_watches,
)
from splitbrain.histories.watch import WatchRequest

READ_BYTES = 1 << 16
READ_BYTES_SMALL = 1 << 10
"""The client stops reading from its socket when so many bytes wait in this process."""
RECEIVE_BUFFER_BYTES_SMALL = 4096


async def watch(
    url: str,
    requests: Sequence[WatchRequest],
    *,
    small_buffers: bool = False,
    tls: ClientTls | None = None,
) -> AsyncGenerator[WatchAnswer, None]:
    """Yield the answers of the watches `requests` until their connection ends.

    Close the generator to cancel the watches. `url` is the member's client URL. With
    `small_buffers`, few answers wait between the member and this client, so that a member soon
    notices a client that reads slowly. Raises NotConnected or ConnectionLost.
    """
    body = encode_watches(requests)
    async for line in stream_lines(url + WATCH, body, small_buffers=small_buffers, tls=tls):
        yield decode_line(line)


async def stream_lines(
    url: str, body: bytes, *, small_buffers: bool = False, tls: ClientTls | None = None
) -> AsyncGenerator[bytes, None]:
    """Post `body` to `url` on a new connection, and yield the lines of the answer.

    Raises NotConnected or ConnectionLost.
    """
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S)
    connector = aiohttp.TCPConnector(
        socket_factory=_small_socket if small_buffers else None,
        ssl=True if tls is None else tls.context,
    )
    read_bytes = READ_BYTES_SMALL if small_buffers else READ_BYTES
    try:
        async with (
            aiohttp.ClientSession(
                timeout=timeout, connector=connector, read_bufsize=read_bytes
            ) as session,
            session.post(url, data=body) as response,
        ):
            if response.status != 200:
                message = decode_error(await response.read())
                raise ConnectionLost(f"{response.status} {message}")
            async for line in lines(response.content):
                yield line
    except aiohttp.ClientConnectorError as problem:
        raise NotConnected(str(problem)) from problem
    except aiohttp.ClientError as problem:
        raise ConnectionLost(str(problem) or type(problem).__name__) from problem


def _small_socket(address: Any) -> socket.socket:
    """Return a socket with a small receive buffer, for one result of `getaddrinfo`."""
    made = socket.socket(*address[:3])
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES_SMALL)
    return made
