"""One direction of one proxied connection: moves bytes from a source transport to a sink.

On a slow link, chunks wait in a queue until their delay is over. While the link is held, or the
queue or the sink is full, no bytes are read from the source. The TCP windows of the kernel then
stop the sender, as they do on a network that delivers nothing, and no byte is lost. The end of the
stream waits in the same queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Callable

from splitbrain.harness.systems.proxies.link import Link

QUEUE_BYTES_MAX = 4 * 1024 * 1024
"""The largest number of bytes in the queue. A link of 40 MB/s with a delay of 100 ms has 4 MB in
flight."""

_END = b""
_RECEIVE_BUFFER_BYTES_MIN = 128 * 1024
"""The smallest receive buffer: two segments of loopback. With a smaller buffer, the sender waits
for its timer before each segment."""
_SO_BUF_LOCK = 72
"""The number of a socket option that Python's module `socket` lacks. Source:
asm-generic/socket.h."""


class Lane:
    """Moves bytes in one direction. Until `attach` sets the sink, it holds all bytes back."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, link: Link, finished: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._link = link
        self._finished = finished
        self.done = False
        """Whether the end of the stream has reached the sink."""
        self._source: asyncio.Transport | None = None
        self._sink: asyncio.Transport | None = None
        self._queue: deque[tuple[float, bytes]] = deque()
        self._queued_bytes = 0
        self._last_due_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._sink_full = False
        self._reading = True
        self._closed = False
        self._buffer_bytes_max = 0

    def read_from(self, source: asyncio.Transport, reading: bool) -> None:
        """Set the source. `reading` is False if reading from the transport is paused at present."""
        self._source = source
        self._reading = reading
        self._set_reading()

    def attach(self, sink: asyncio.Transport) -> None:
        self._sink = sink
        self.link_changed()

    def discard(self) -> None:
        """From now on, read and drop all bytes of the source."""
        self.close()
        if self._source is not None and not self._reading and not self._source.is_closing():
            self._reading = True
            self._source.resume_reading()

    def close(self) -> None:
        """Drop the queue, and stop moving bytes."""
        self._closed = True
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()

    # --- called by the two transports --------------------------------------------

    def received(self, data: bytes) -> None:
        if self._closed:
            self._link.count(1)  # the other end of a half-open connection is gone
            return
        if not self._queue and self._link.plain and self._sink is not None:
            if not self._sink.is_closing():  # uvloop raises here, asyncio does not
                self._sink.write(data)
            return
        piece = self._link.piece_bytes_max() or len(data)
        for start in range(0, len(data), piece):
            self._enqueue(self._link.altered(data[start : start + piece]))
        self._move()

    def ended(self) -> None:
        """Handle the end of the source: end the sink after all earlier bytes have reached it."""
        self._source = None  # if it were read again, it would report its end again
        self._enqueue(_END)
        self._move()

    def sink_full(self, full: bool) -> None:
        self._sink_full = full
        self._move()

    def link_changed(self) -> None:
        """Compute anew when each chunk may pass, because the state of the link has changed."""
        if self._source is not None and not self._source.is_closing():
            self._limit_receive_buffer(self._source)
        waiting = [chunk for _, chunk in self._queue]
        self._queue.clear()
        self._queued_bytes = 0
        self._last_due_s = 0.0
        for chunk in waiting:
            self._enqueue(chunk)
        self._move()

    def _limit_receive_buffer(self, source: asyncio.Transport) -> None:
        """Give the kernel's receive buffer of the source the size that the link allows."""
        size = self._link.state.buffer_bytes_max
        if size == self._buffer_bytes_max:
            return
        self._buffer_bytes_max = size
        sock = source.get_extra_info("socket")
        with contextlib.suppress(OSError):
            if size:
                size = max(size, _RECEIVE_BUFFER_BYTES_MIN)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
            else:  # the kernel chooses the size again
                sock.setsockopt(socket.SOL_SOCKET, _SO_BUF_LOCK, 0)

    # --- moving --------------------------------------------------------------------

    def _enqueue(self, chunk: bytes) -> None:
        now = self._loop.time()
        due = max(self._link.due_s(now, len(chunk)), self._last_due_s)
        if due > now:
            self._link.count(1)
        self._last_due_s = due
        self._queue.append((due, chunk))
        self._queued_bytes += len(chunk)

    def _move(self) -> None:
        """Send the chunks whose time has come, and set a timer for the next chunk.

        Then read from the source again if the queue has room.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._closed:
            return
        if self._sink is not None and not self._link.held:
            self._send_due(self._sink)
        self._set_reading()

    def _send_due(self, sink: asyncio.Transport) -> None:
        now = self._loop.time()
        while self._queue and not self._sink_full:
            due, chunk = self._queue[0]
            if due > now:
                self._timer = self._loop.call_at(due, self._move)
                return
            self._queue.popleft()
            self._queued_bytes -= len(chunk)
            if chunk == _END:
                _end(sink)
                self.done = True
                self._finished()
            elif not sink.is_closing():
                sink.write(chunk)

    def _set_reading(self) -> None:
        """Pause or resume reading from the source."""
        limit = self._link.state.buffer_bytes_max or QUEUE_BYTES_MAX
        room = not self._sink_full and self._queued_bytes < limit
        may_read = room and self._sink is not None and not self._link.held and not self._closed
        if self._source is None or self._source.is_closing() or may_read == self._reading:
            return
        self._reading = may_read
        if may_read:
            self._source.resume_reading()
        else:
            self._source.pause_reading()


def _end(sink: asyncio.Transport) -> None:
    if not sink.is_closing() and sink.can_write_eof():
        sink.write_eof()
