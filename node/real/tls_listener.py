"""Accepts TLS connections, and passes the decrypted bytes to the protocol that serves them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from splitbrain.node.api.member_interface import Log
from splitbrain.node.real.tls import Tls

HANDSHAKE_S = 10.0
"""How long a handshake may take, in seconds."""
PAUSE_S = 1.0
"""After an error such as too many open files, no connection is accepted for this many seconds."""
BACKLOG = 1024

MakeProtocol = Callable[[], asyncio.Protocol]


class TlsListener:
    """Listens at an address for TLS connections. `make` creates the protocol of a connection.

    A connection without a proper handshake, or with a certificate that is not allowed, is closed,
    and one line is logged.
    """

    def __init__(self, tls: Tls, make: MakeProtocol, log: Log) -> None:
        self._tls = tls
        self._make = make
        self._log = log
        self._sockets: list[socket.socket] = []
        self._tasks: dict[asyncio.Task[None], None] = {}

    async def listen(self, host: str, port: int) -> None:
        """Listen at all addresses of `host`. Raises OSError if this is not possible."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        try:
            for family, kind, protocol, _, address in dict.fromkeys(found):
                made = socket.socket(family, kind, protocol)
                self._sockets.append(made)
                made.setblocking(False)
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                made.bind(address)
                made.listen(BACKLOG)
        except OSError:
            self.close()
            raise
        for made in self._sockets:
            self._spawn(self._accept(made))

    def close(self) -> None:
        """Stop listening, and end the handshakes in progress."""
        for task in list(self._tasks):
            task.cancel()
        for made in self._sockets:
            made.close()
        self._sockets.clear()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, address = await loop.sock_accept(listening)
            except OSError as problem:
                self._log("error", "cannot accept connections", why=str(problem))
                await asyncio.sleep(PAUSE_S)
                continue
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._spawn(self._shake_hands(accepted, f"{address[0]}:{address[1]}"))

    async def _shake_hands(self, accepted: socket.socket, client: str) -> None:
        early = _EarlyData()
        try:
            transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
                lambda: early, accepted, ssl=self._tls.server.current(),
                ssl_handshake_timeout=HANDSHAKE_S,
            )  # fmt: skip
        except OSError as problem:  # ssl.SSLError is a subclass of OSError
            self._reject(client, str(problem) or type(problem).__name__)
            accepted.close()
            return
        refusal = self._tls.refusal(transport.get_extra_info("peercert"))
        if refusal:
            self._reject(client, refusal)
            transport.abort()
            return
        early.hand_over(transport, self._make())

    def _reject(self, client: str, why: str) -> None:
        self._log("warn", "rejected connection", client=client, why=why)


class _EarlyData(asyncio.Protocol):
    """Keeps the bytes that arrive between the handshake and the check of the certificate."""

    def __init__(self) -> None:
        self._data = b""
        self._lost = False

    def data_received(self, data: bytes) -> None:
        self._data += data

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True

    def hand_over(self, transport: asyncio.Transport, protocol: asyncio.Protocol) -> None:
        """Let `protocol` serve the connection from now on, beginning with the bytes kept so far."""
        if self._lost:
            return
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if self._data:
            protocol.data_received(self._data)
