"""A stream of a client at a simulated member: lines over the simulated network.

The stream behaves like a TCP connection. Lines arrive in order. The stream breaks when the member's
process ends. If the machine loses power, no more lines arrive, and the client's keep-alive ends the
stream `KEEP_ALIVE_S` later.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

import msgspec

from splitbrain.harness.clients.http_connection import ConnectionLost, NotConnected
from splitbrain.harness.clients.watch_codec import (
    PROGRESS_REQUEST,
    WATCH,
    WatchAnswer,
    WatchPlaces,
    decode_line,
    first_messages,
    later_messages,
)
from splitbrain.harness.simulation.client_coverage import conditions_of_watch_answer
from splitbrain.harness.simulation.client_network import CLIENT, ClientListener, ClientNetwork
from splitbrain.histories.watch import WatchRequest
from splitbrain.node.api import json_codec
from splitbrain.node.api.methods import BY_KEY, Kind
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.messages.rpc import WatchRequest as WatchMessage

KEEP_ALIVE_S = 5.0
"""After this time without a sign of life from the member, the client closes the connection."""
BODY_BYTES_MAX = 1 << 20
ASKS_MAX = 60
"""The number of progress requests that a client sends in the middle of one stream."""
SMALL_WINDOW_LINES = 4
"""The number of lines that fit into the buffers of the connection of a slow client."""


async def watch(
    clients: ClientNetwork, url: str, requests: Sequence[WatchRequest], *, small_buffers: bool
) -> AsyncGenerator[WatchAnswer, None]:
    """Open the watches `requests` at the member at `url`, and yield their answers.

    When the stream ends, the generator raises OSError. Close the generator to cancel the watches.
    With `small_buffers` the client is a slow reader, whose connection buffers few lines.
    """
    window = SMALL_WINDOW_LINES if small_buffers else 0
    later_us = max(one.later_us for one in requests)
    stream = Stream(
        clients, url, _body(first_messages(requests)), window,
        later=(later_us, _body(later_messages(requests))),
        ask_every_us=max(one.ask_every_us for one in requests),
    )
    places = WatchPlaces(len(requests))
    try:
        stream.open()
        while True:
            answer = decode_line(await stream.next_line())
            for place in places.of(answer):
                for condition in conditions_of_watch_answer(requests[place], answer):
                    clients.network.reached(condition)
            yield answer
    finally:
        stream.close()


async def stream_lines(
    clients: ClientNetwork, url: str, path: str, body: bytes
) -> AsyncGenerator[bytes, None]:
    """Send `body` to the method at the route `path`, and yield the lines of the answer.

    When the connection fails, the generator raises OSError.
    """
    stream = Stream(clients, url, body, 0, path=path)
    try:
        stream.open()
        while True:
            yield await stream.next_line()
    finally:
        stream.close()


class Stream:
    """One connection of a client, with a stream of the method at the route `path`.

    Lines wait at the client until it reads them.

    If `window` is not 0, at most `window` lines are on the way or unread. Then the member waits
    until the client has read a line, as it does when the buffers of a TCP connection are full.
    """

    def __init__(
        self,
        clients: ClientNetwork,
        url: str,
        body: bytes,
        window: int,
        *,
        later: tuple[int, bytes] = (0, b""),
        ask_every_us: int = 0,
        path: str = WATCH,
    ) -> None:
        self._path = path
        self._clients = clients
        self._loop = clients.loop
        self._machine = clients.machine(url)
        self._url = url
        self._body = body
        self._later_us, self._later = later
        self._ask_every_us = ask_every_us
        self._out = clients.network.link(CLIENT, self._machine.name)
        self._back = clients.network.link(self._machine.name, CLIENT)
        self._lines: asyncio.Queue[bytes | OSError] = asyncio.Queue()
        self._listener: ClientListener | None = None
        self._task: asyncio.Task[None] | None = None
        self._last_due_ns = 0
        self._closed = False
        self._window = window
        self._unread = 0
        """The number of lines that the member has sent and that it does not know to be read."""
        self._room = asyncio.Event()

    def open(self) -> None:
        self._loop.at_ns(self._loop.now_ns + self._out.transit_ns(256), None, self._arrive)

    async def next_line(self) -> bytes:
        line = await self._lines.get()
        if isinstance(line, OSError):
            raise line
        if self._window and self._listener is not None:
            due_ns = self._loop.now_ns + self._out.transit_ns(64)
            self._loop.at_ns(due_ns, self._listener.process, self._read)
        return line

    def close(self) -> None:
        """Close the connection at the client. The member notices that later."""
        self._closed = True
        if self._listener is None:
            return
        listener, task = self._listener, self._task
        listener.exchanges.pop(self, None)
        if task is not None and not task.done():
            due_ns = self._loop.now_ns + self._out.transit_ns(64)
            self._loop.at_ns(due_ns, listener.process, task.cancel)

    # --- at the member's machine ----------------------------------------------------------

    def _arrive(self) -> None:
        if self._closed:
            return
        if not self._machine.powered:
            self._end_by_keep_alive()
            return
        self._listener = listener = self._clients.listener(self._url)
        if listener is None:
            self._send(NotConnected("Connection refused"))
            return
        listener.exchanges[self] = None
        self._loop.soon(listener.process, self._begin, listener)

    def _begin(self, listener: ClientListener) -> None:
        if not self._closed:
            self._task = self._loop.create_task(self._work(listener), name="watch")

    async def _work(self, listener: ClientListener) -> None:
        answers = listener.api.streams[self._path](
            json_codec.decode_request(self._path, self._body)
            if BY_KEY[self._path].kind is Kind.SERVER_STREAM else self._requests()
        )
        try:
            async for answer in answers:
                self._send(json_codec.encode_stream_line(answer))
                self._unread += 1
                while 0 < self._window <= self._unread:
                    self._clients.network.reached("a watch waited for a slow reader")
                    self._room.clear()
                    await self._room.wait()
        except RpcError as refusal:
            self._send(ConnectionLost(refusal.message))
        else:
            self._send(ConnectionLost("the member ended the stream"))

    async def _requests(self) -> AsyncIterator[WatchMessage]:
        requests = json_codec.StreamRequests(self._path, BODY_BYTES_MAX)
        for one in requests.feed(self._body):
            yield one
        if self._later:
            await asyncio.sleep(self._later_us / 1e6)
            self._clients.network.reached("a watch was cancelled while others went on")
            for one in requests.feed(self._later):
                yield one
        for _ in range(ASKS_MAX if self._ask_every_us else 0):
            await asyncio.sleep(self._ask_every_us / 1e6)
            self._clients.network.reached("a client asked for progress in the middle of a stream")
            for one in requests.feed(_body([PROGRESS_REQUEST])):
                yield one

    def _read(self) -> None:
        """Let the member know that the client has read a line."""
        self._unread -= 1
        self._room.set()

    def member_gone(self) -> None:
        """Handle the end of the member's process.

        If the machine has power, it resets the connection. Otherwise the client's keep-alive ends
        the stream later.
        """
        self._clients.network.reached("a member ended with a request in flight")
        if self._machine.powered:
            self._send(ConnectionLost("the member is gone"))
        else:
            self._end_by_keep_alive()

    def _end_by_keep_alive(self) -> None:
        due_ns = self._loop.now_ns + round(KEEP_ALIVE_S * 1e9)
        self._loop.at_ns(due_ns, None, self._deliver(ConnectionLost("no sign of life")))

    def _send(self, line: bytes | OSError) -> None:
        """Send a line, or an error that ends the stream. Lines arrive in the order of sending."""
        due_ns = self._loop.now_ns + self._back.transit_ns(256)
        self._last_due_ns = max(self._last_due_ns, due_ns)
        self._loop.at_ns(self._last_due_ns, None, self._deliver(line))

    def _deliver(self, line: bytes | OSError) -> Callable[[], None]:
        return lambda: self._lines.put_nowait(line)


def _body(messages: Sequence[object]) -> bytes:
    return b"".join(map(msgspec.json.encode, messages))
