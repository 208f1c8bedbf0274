"""Sends and receives frames between members over TCP or TLS.

A connection carries frames in one direction only, from the member that connects to the member that
listens. Each directed link of the cluster is therefore a separate connection and can fail
independently.

`splitbrain.node.peer_frame` describes the format of frames.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from splitbrain.node import peer_frame
from splitbrain.node.api.member_interface import Log
from splitbrain.node.peer_frame import HEADER, framed
from splitbrain.node.real.tls import Tls

FRAME_BYTES_MAX = 64 * 1024**2
RECEIVE_BYTES_MAX = 256 * 1024

CONNECT_TIMEOUT_S = 1.0
REDIAL_BACKOFF_S = (0.05, 0.1, 0.2, 0.4)
STALL_TIMEOUT_S = 5.0
"""A link reconnects if the peer reads no bytes for this time.

Source: the read timeout of etcd's rafthttp streams (ConnReadTimeout).
"""


class FrameReceiver(asyncio.Protocol):
    """An accepted connection from a peer. The first frame identifies the peer.

    All later frames are messages of the peer.
    """

    def __init__(
        self,
        accept: Callable[[bytes], Callable[[bytes], None]],
        connections: dict[asyncio.Transport, None],
    ) -> None:
        self._accept = accept
        self._connections = connections
        self._receive: Callable[[bytes], None] | None = None
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connections[self._transport] = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._connections.pop(self._transport, None)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        start = 0
        while len(buffer) - start >= HEADER.size:
            length, checksum = HEADER.unpack_from(buffer, start)
            end = start + HEADER.size + length
            if length > FRAME_BYTES_MAX:
                self._abort()
                return
            if len(buffer) < end:
                break
            payload = bytes(buffer[start + HEADER.size : end])
            start = end
            if not peer_frame.intact(payload, checksum) or not self._take(payload):
                self._abort()
                return
        del buffer[:start]

    def _take(self, payload: bytes) -> bool:
        if self._receive is not None:
            self._receive(payload)
            return True
        try:
            self._receive = self._accept(payload)
        except ConnectionRefusedError:
            return False
        return True

    def _abort(self) -> None:
        self._buffer.clear()
        if self._transport is not None:
            self._transport.abort()


class _FrameSender(asyncio.Protocol):
    """The end of a connection at the member that has opened it. This end only sends."""

    def __init__(self) -> None:
        self.lost = asyncio.get_running_loop().create_future()
        self.stalled_since: float | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)

    def pause_writing(self) -> None:
        self.stalled_since = asyncio.get_running_loop().time()

    def resume_writing(self) -> None:
        self.stalled_since = None


class TcpPeerLink:
    """A link to a peer. It reconnects whenever the connection breaks, until it is closed.

    A frame is dropped if there is no connection, or if the queue already contains more than
    `queue_bytes_max` bytes. This is harmless: Raft repeats the messages that matter, and a queue of
    old heartbeats is useless.
    """

    def __init__(
        self, *, host: str, port: int, hello: bytes, jitter: Callable[[], float],
        queue_bytes_max: int, log: Log, tls: Tls | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._hello = framed(hello)
        self._jitter = jitter
        self._queue_bytes_max = queue_bytes_max
        self._log = log
        self._tls = tls
        self._refused = ""
        """Why the last handshake failed, or ""."""
        self._transport: asyncio.Transport | None = None
        self._dialling = asyncio.get_running_loop().create_task(self._keep_connected())

    @property
    def connected(self) -> bool:
        return self._transport is not None

    def send(self, frame: bytes) -> bool:
        transport = self._transport
        # A transport of uvloop that is closing raises an error on a write. asyncio's do not.
        if transport is None or transport.is_closing():
            return False
        if transport.get_write_buffer_size() > self._queue_bytes_max:
            return False
        transport.write(framed(frame))
        return True

    @property
    def queued_bytes(self) -> int:
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def finish(self) -> None:
        self._dialling.cancel()
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def close(self) -> None:
        self._dialling.cancel()
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    async def _keep_connected(self) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    transport, sender = await loop.create_connection(
                        _FrameSender, self._host, self._port,
                        ssl=None if self._tls is None else self._tls.client.current(),
                    )
            except (OSError, TimeoutError) as problem:
                self._note_handshake(problem)
                backoff = REDIAL_BACKOFF_S[min(failures, len(REDIAL_BACKOFF_S) - 1)]
                failures += 1
                await asyncio.sleep(backoff * (0.5 + self._jitter()))
                continue
            began = loop.time()
            transport.write(self._hello)
            self._transport = transport
            await self._until_lost(sender)
            self._transport = None
            transport.abort()
            # A connection that breaks within a second was refused by the peer.
            failures = failures + 1 if loop.time() - began < 1.0 else 0
            backoff = REDIAL_BACKOFF_S[min(failures, len(REDIAL_BACKOFF_S) - 1)]
            await asyncio.sleep(backoff * (0.5 + self._jitter()))

    def _note_handshake(self, problem: OSError) -> None:
        """Log the error of a handshake, unless the previous handshake failed in the same way."""
        if isinstance(problem, ssl.SSLError) and str(problem) != self._refused:
            self._refused = str(problem)
            peer = f"{self._host}:{self._port}"
            self._log("warn", "no TLS connection to a peer", peer=peer, why=self._refused)

    async def _until_lost(self, sender: _FrameSender) -> None:
        loop = asyncio.get_running_loop()
        while not sender.lost.done():
            await asyncio.wait([sender.lost], timeout=1.0)
            since = sender.stalled_since
            if since is not None and loop.time() - since > STALL_TIMEOUT_S:
                return
