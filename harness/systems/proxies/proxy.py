"""Loopback TCP proxies between members: one listener for each member's advertised peer URL.

The proxies do not parse the members' protocol. To find out which member dialled a connection, they
search for the process that owns the other end of the connection. The directed link from `a` to `b`
applies to bytes on two kinds of connections. On a connection that `a` dialled, it applies to the
bytes from the dialler. On a connection that `b` dialled, it applies to the bytes to the dialler.
The second case matters because etcd sends most of its messages as answers, on connections that the
receiver of the messages dialled.

- If both links of a pair are closed (`open` is False), its connections are reset, and so are new
  ones.
- If a link is `half_open`, the source's end of each existing connection is reset. The target's end
  stays open, and the bytes that it sends are discarded.
- If a link is a `black_hole`, or if only one link of a pair is closed, this link is held:
  connections stay open and new ones are accepted, but no byte passes in that direction. The target
  is dialled only when bytes may reach it. When the link is normal again, the waiting bytes pass:
  late, in order, and without loss, as after TCP's retransmissions in a real outage.
- A dialler that is not the process of a member is refused, because the proxies could not apply a
  partition to its bytes.

`proxy_process.py` runs the proxies in a separate process.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any, cast

from splitbrain.harness.systems.processes.ports import HOST
from splitbrain.harness.systems.proxies.link import Link
from splitbrain.harness.systems.proxies.one_direction import Lane
from splitbrain.harness.systems.proxies.socket_owner import End, owner
from splitbrain.histories.random_stream import stream
from splitbrain.nemesis.capabilities import LinkState
from splitbrain.nemesis.fault_target import MemberName

CONNECTIONS_MAX = 4_096
"""The largest number of connections of all proxies together. Further ones are refused."""
WRITE_BUFFER_BYTES_MAX = 1024 * 1024
_LOOKUPS_MAX = 25
_LOOKUP_PAUSE_S = 0.02
_RESET = struct.pack("ii", 1, 0)

log = logging.getLogger("splitbrain.proxy")


def _no_count(link: tuple[MemberName, MemberName], changed: int) -> None:
    """Do nothing: the default for `Proxies.count`."""


class Proxies:
    """All proxies of one cluster. `seed` seeds the random draws of each link.

    `count` is called with a link and the number of chunks and connections that its faults have just
    changed.
    """

    def __init__(
        self, seed: int, count: Callable[[tuple[MemberName, MemberName], int], None] = _no_count
    ) -> None:
        self._seed = seed
        self._count = count
        self._links: dict[tuple[MemberName, MemberName], Link] = {}
        self._names: dict[int, MemberName] = {}
        """Maps a process id to the member to which the process belongs."""
        self._servers: list[asyncio.Server] = []
        self._connections: dict[Connection, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.refused = 0
        """The number of connections that were refused because no member dialled them."""

    async def listen(self, target: MemberName, port: int) -> int:
        """Open the proxy in front of `target`, which listens on `port`.

        Returns the proxy's port.
        """
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: DiallerEnd(self, target, (HOST, port)), HOST, 0, backlog=512
        )
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def set_owners(self, pids: Mapping[MemberName, int | Sequence[int]]) -> None:
        """Set the process ids of each running member."""
        self._names = {
            pid: name for name, own in pids.items()
            for pid in ((own,) if isinstance(own, int) else own)
        }

    def set_link(self, source: MemberName, target: MemberName, state: LinkState) -> None:
        """Set the state of a link. It also applies to bytes that the link has kept back so far."""
        link = self.link(source, target)
        before, was_held = link.state, link.held
        link.set(state)
        for connection in tuple(self._connections):
            if {source, target} != {connection.source, connection.target}:
                continue
            if link.held and not was_held:
                link.count(1)
            if state.half_open and not before.half_open:
                link.count(1)
                connection.abandon(source)
            elif before.half_open and not state.half_open and connection.abandoned_by == source:
                connection.reset()
                continue
            connection.link_changed()

    def link(self, source: MemberName, target: MemberName) -> Link:
        key = (source, target)
        if key not in self._links:
            self._links[key] = Link(self._random(*key), partial(self._count, key))
        return self._links[key]

    def broken(self, one: MemberName, other: MemberName) -> bool:
        """Return whether both links between the members `one` and `other` are closed."""
        return not (self.link(one, other).state.open or self.link(other, one).state.open)

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        for connection in tuple(self._connections):
            connection.reset()
        for task in tuple(self._tasks):
            task.cancel()

    # --- for connections -------------------------------------------------------------

    def accepted(self, dialler_end: DiallerEnd) -> None:
        if len(self._connections) >= CONNECTIONS_MAX:
            reset(dialler_end.transport)
            return
        self.run(self._identify(dialler_end))

    async def _identify(self, dialler_end: DiallerEnd) -> None:
        """Find out which member dialled, and connect both ends of the connection."""
        source = await self._find_dialler(dialler_end)
        if source is None:
            self.refused += 1
            log.warning("refused a connection to %s: no member dialled it", dialler_end.target)
            reset(dialler_end.transport)
        elif dialler_end.transport.is_closing() or self.broken(source, dialler_end.target):
            self.link(source, dialler_end.target).count(1)
            reset(dialler_end.transport)
        else:
            connection = Connection(self, source, dialler_end)
            self._connections[connection] = None
            connection.link_changed()

    async def _find_dialler(self, dialler_end: DiallerEnd) -> MemberName | None:
        """Return the member that dialled the connection.

        The search is repeated for half a second, because a member may dial before `set_owners` is
        called. Returns None if no member is found in this time, or if the connection closes.
        """
        for _ in range(_LOOKUPS_MAX):
            names = self._names
            pid = owner(dialler_end.dialler, dialler_end.here, names)
            if pid is not None:
                return names[pid]
            if dialler_end.transport.is_closing():
                return None
            await asyncio.sleep(_LOOKUP_PAUSE_S)
        return None

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def forget(self, connection: Connection) -> None:
        self._connections.pop(connection, None)

    def _random(self, source: MemberName, target: MemberName) -> Random:
        return stream(self._seed, "proxy", source, target)


class DiallerEnd(asyncio.Protocol):
    """The end of a proxied connection towards the member that dialled."""

    transport: asyncio.Transport
    dialler: End
    here: End

    def __init__(self, proxies: Proxies, target: MemberName, target_end: End) -> None:
        self._proxies = proxies
        self.target = target
        self.target_end = target_end
        self.connection: Connection | None = None
        self._received_early: list[bytes] = []
        self._ended_early = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # not a subclass in uvloop
        set_options(self.transport)
        self.dialler = transport.get_extra_info("peername")[:2]
        self.here = transport.get_extra_info("sockname")[:2]
        self._proxies.accepted(self)

    def join(self, connection: Connection) -> None:
        """Send the bytes that were already read, and then all later ones, to `connection`."""
        self.connection = connection
        connection.forward.read_from(self.transport, reading=not self._received_early)
        for data in self._received_early:
            connection.forward.received(data)
        if self._ended_early:
            connection.forward.ended()
        self._received_early.clear()

    def data_received(self, data: bytes) -> None:
        if self.connection is not None:
            self.connection.forward.received(data)
            return
        # uvloop ignores a pause in `connection_made`, so reading is paused when the first bytes
        # come.
        if not self._received_early:
            self.transport.pause_reading()
        self._received_early.append(data)

    def eof_received(self) -> bool:
        if self.connection is not None:
            self.connection.forward.ended()
        self._ended_early = True
        return True  # keeps the connection half open for what the target still sends

    def pause_writing(self) -> None:
        assert self.connection is not None
        self.connection.backward.sink_full(True)

    def resume_writing(self) -> None:
        assert self.connection is not None
        self.connection.backward.sink_full(False)

    def connection_lost(self, exc: Exception | None) -> None:
        connection = self.connection
        if connection is not None and connection.abandoned_by != connection.source:
            connection.lost(exc)


class TargetEnd(asyncio.Protocol):
    """The end of a proxied connection towards the member that was dialled."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        set_options(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        self._connection.backward.received(data)

    def eof_received(self) -> bool:
        self._connection.backward.ended()
        return True

    def pause_writing(self) -> None:
        self._connection.forward.sink_full(True)

    def resume_writing(self) -> None:
        self._connection.forward.sink_full(False)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection.abandoned_by != self._connection.target:
            self._connection.lost(exc)


class Connection:
    """Both ends of one proxied connection. It passes bytes between them in both directions."""

    def __init__(self, proxies: Proxies, source: MemberName, dialler_end: DiallerEnd) -> None:
        loop = asyncio.get_running_loop()
        self._proxies = proxies
        self._dialler_end = dialler_end
        self._target_end: asyncio.Transport | None = None
        self._connecting = False
        self.abandoned_by: MemberName | None = None
        """The member whose end is gone while the other end is open; None if both ends are open."""
        self.source = source
        self.target = dialler_end.target
        self.forward = Lane(loop, proxies.link(source, self.target), self._lane_done)
        self.backward = Lane(loop, proxies.link(self.target, source), self._lane_done)
        dialler_end.join(self)

    def abandon(self, member: MemberName) -> None:
        """Reset the end of `member`.

        The other end stays open, and the bytes that it sends are dropped.
        """
        if self._target_end is None or self.abandoned_by is not None:
            self.reset()
            return
        self.abandoned_by = member
        self.forward.discard()
        self.backward.discard()
        reset(self._dialler_end.transport if member == self.source else self._target_end)

    def link_changed(self) -> None:
        if self._proxies.broken(self.source, self.target):
            self.reset()
            return
        if self.abandoned_by is not None:
            return
        if not self._connecting and not self._proxies.link(self.source, self.target).held:
            self._connecting = True
            self._proxies.run(self._connect_target())
        self.forward.link_changed()
        self.backward.link_changed()

    async def _connect_target(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.create_connection(
                lambda: TargetEnd(self), *self._dialler_end.target_end
            )
        except OSError:
            self.reset()  # as a port without a listener does
            return
        gone = self._dialler_end.transport.is_closing()
        if gone or self._proxies.broken(self.source, self.target):
            reset(transport)
            self.reset()
            return
        self._target_end = transport
        self.backward.read_from(transport, reading=True)
        self.backward.attach(self._dialler_end.transport)
        self.forward.attach(transport)

    def _lane_done(self) -> None:
        if self.forward.done and self.backward.done:
            self.lost(None)

    def lost(self, problem: Exception | None) -> None:
        """Close both ends of the connection after one end was lost.

        If `problem` is an error, both ends are reset. Otherwise each end is closed after the
        remaining bytes were sent to it.
        """
        self.forward.close()
        self.backward.close()
        for transport in self._transports():
            if problem is not None:
                reset(transport)
            elif not transport.is_closing():
                transport.close()
        self._proxies.forget(self)

    def reset(self) -> None:
        self.lost(ConnectionResetError())

    def _transports(self) -> tuple[asyncio.Transport, ...]:
        mine = (self._dialler_end.transport, self._target_end)
        return tuple(transport for transport in mine if transport is not None)


def set_options(transport: asyncio.Transport) -> None:
    transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES_MAX)
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def reset(transport: asyncio.Transport) -> None:
    """Close the connection with a RST, so that the other end notices immediately."""
    if not transport.is_closing():
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()
