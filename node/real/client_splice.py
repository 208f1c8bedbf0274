"""Connects a client's TCP connection to a server in the same process, byte for byte.

A *splice* is a pair of two connections: one with the client, and one with the server. The bytes
that arrive on one connection are sent on the other one.

The connection with the server is a Unix socket. Both of its ends have abstract names. The server
listens at one name. The name of the other end is different for each client, so the server can
identify the client by it. No other process can take a name while it is in use, and the operating
system frees all names when the process ends.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from typing import cast

from splitbrain.node.api.member_interface import Log

PEER_PREFIX = "unix-abstract:"
"""The prefix that grpcio uses for an abstract name."""


class _End(asyncio.Protocol):
    """One of the two connections of a splice.

    It passes what it receives to the other connection.
    """

    other: _End

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self.other.transport is not None:
            self.other.transport.close()

    def data_received(self, data: bytes) -> None:
        transport = self.other.transport
        if transport is not None and not transport.is_closing():
            transport.write(data)

    def pause_writing(self) -> None:
        other = self.other.transport
        if other is not None and not other.is_closing():
            other.pause_reading()

    def resume_writing(self) -> None:
        other = self.other.transport
        if other is not None and not other.is_closing():
            other.resume_reading()


class Splices:
    """The splices to one server, which listens at `address`."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._token = secrets.token_hex(16)
        self._number = 0
        self._ends: dict[str, _Inner] = {}
        self._connecting: dict[asyncio.Task[None], None] = {}

    @property
    def address(self) -> str:
        """The address of the server, as grpcio writes it."""
        return f"{PEER_PREFIX}splitbrain-{self._token}"

    def common_name(self, peer: str) -> str | None:
        """Return the common name in a client's certificate.

        `peer` is the name of its connection. Returns "" if the client has no certificate, and None
        if no splice has the name `peer`.
        """
        end = self._ends.get(peer)
        return None if end is None else end.common_name

    def splice(
        self, transport: asyncio.Transport, first: bytes, common_name: str = ""
    ) -> None:
        """Connect the client of `transport` to the server.

        `first` are the bytes that were read from `transport` already. `common_name` is the common
        name in the client's certificate, or "".
        """
        transport.pause_reading()
        self._number += 1
        name = f"splitbrain-{self._token}-{self._number}"
        outer, inner = _End(), _Inner(self._ends, PEER_PREFIX + name, common_name)
        inner.other, outer.other = outer, inner
        outer.connection_made(transport)
        transport.set_protocol(outer)
        connecting = self._connect(outer, inner, name, first)
        task = asyncio.get_running_loop().create_task(connecting)
        self._connecting[task] = None
        task.add_done_callback(self._connecting.pop)

    def close(self) -> None:
        """Close all connections. Data that was already passed on is still sent."""
        for task in list(self._connecting):
            task.cancel()
        for end in list(self._ends.values()):
            if end.transport is not None:
                end.transport.close()

    async def _connect(self, outer: _End, inner: _Inner, name: str, first: bytes) -> None:
        try:
            transport = await self._dialled(inner, name)
        except OSError as problem:
            self._log("error", "a connection of a client was dropped", why=str(problem))
            if outer.transport is not None:
                outer.transport.abort()
            return
        if outer.transport is None:
            transport.abort()
            return
        transport.write(first)
        outer.transport.resume_reading()

    async def _dialled(self, inner: _Inner, name: str) -> asyncio.Transport:
        loop = asyncio.get_running_loop()
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.setblocking(False)
            made.bind(f"\0{name}")
            await loop.sock_connect(made, "\0" + self.address.removeprefix(PEER_PREFIX))
        except BaseException:
            made.close()
            raise
        transport, _ = await loop.create_unix_connection(lambda: inner, sock=made)
        return transport


class _Inner(_End):
    """The connection of a splice to the server. While it is open, `ends` contains it."""

    def __init__(self, ends: dict[str, _Inner], peer: str, common_name: str) -> None:
        super().__init__()
        self.common_name = common_name
        self._ends = ends
        self._peer = peer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._ends[self._peer] = self

    def connection_lost(self, exc: Exception | None) -> None:
        self._ends.pop(self._peer, None)
        super().connection_lost(exc)
