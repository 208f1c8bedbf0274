"""A client's watch of a simulated member: a stream of lines over the simulated network.

As over a connection: lines arrive in their order, a member that ends breaks it, one whose
machine loses power is silent until the client's keep-alive gives it up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable

from splitbrain.harness.clients.http_connection import ConnectionLost, NotConnected
from splitbrain.harness.clients.watch_codec import WatchAnswer, decode_line, encode_watch
from splitbrain.harness.simulation.client_conditions import conditions_of_watch_answer
from splitbrain.harness.simulation.client_network import ClientListener, ClientNetwork
from splitbrain.histories.watch import WatchRequest
from splitbrain.node.api import json_codec
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.messages.rpc import WatchRequest as WatchMessage

KEEP_ALIVE_S = 5.0
"""After this long a client gives up a connection whose other end is gone without a word."""
BODY_BYTES_MAX = 1 << 20


async def watch(
    clients: ClientNetwork, client_machine: str, url: str, request: WatchRequest
) -> AsyncGenerator[WatchAnswer, None]:
    """Answers until the stream ends; close the generator to give it up. Raises OSError."""
    stream = Stream(clients, client_machine, url, encode_watch(request))
    try:
        stream.open()
        while True:
            answer = decode_line(await stream.next_line())
            for condition in conditions_of_watch_answer(request, answer):
                clients.network.reached(condition)
            yield answer
    finally:
        stream.leave()


class Stream:
    """One connection. Lines wait at the client until it takes them."""

    def __init__(self, clients: ClientNetwork, client_machine: str, url: str, body: bytes) -> None:
        self._clients = clients
        self._loop = clients.loop
        self._machine = clients.machine(url)
        self._url = url
        self._body = body
        self._out = clients.network.link(client_machine, self._machine.name)
        self._back = clients.network.link(self._machine.name, client_machine)
        self._lines: asyncio.Queue[bytes | OSError] = asyncio.Queue()
        self._served: ClientListener | None = None
        self._task: asyncio.Task[None] | None = None
        self._last_due_ns = 0
        self._left = False

    def open(self) -> None:
        self._loop.at_ns(self._loop.now_ns + self._out.transit_ns(256), None, self._arrive)

    async def next_line(self) -> bytes:
        line = await self._lines.get()
        if isinstance(line, OSError):
            raise line
        return line

    def leave(self) -> None:
        """The client closes the connection; the member hears of it later."""
        self._left = True
        if self._served is None:
            return
        served, task = self._served, self._task
        served.under_way.pop(self, None)
        if task is not None and not task.done():
            due_ns = self._loop.now_ns + self._out.transit_ns(64)
            self._loop.at_ns(due_ns, served.process, task.cancel)

    # --- at the member's machine ----------------------------------------------------------

    def _arrive(self) -> None:
        if self._left:
            return
        if not self._machine.powered:
            self._give_up_later()
            return
        self._served = served = self._clients.serving(self._url)
        if served is None:
            self._tell(NotConnected("Connection refused"))
            return
        served.under_way[self] = None
        self._loop.soon(served.process, self._begin, served)

    def _begin(self, served: ClientListener) -> None:
        if not self._left:
            self._task = self._loop.create_task(self._work(served), name="watch")

    async def _work(self, served: ClientListener) -> None:
        answers = served.api.watch(_requests(self._body))
        try:
            async for answer in answers:
                self._tell(json_codec.encode_watch_line(answer))
        except RpcError as refusal:
            self._tell(ConnectionLost(refusal.message))

    def member_gone(self) -> None:
        """The process ended: its machine resets the connection, if that still has power."""
        self._clients.network.reached("a member ended with a request under way")
        if self._machine.powered:
            self._tell(ConnectionLost("the member is gone"))
        else:
            self._give_up_later()

    def _give_up_later(self) -> None:
        due_ns = self._loop.now_ns + round(KEEP_ALIVE_S * 1e9)
        self._loop.at_ns(due_ns, None, self._deliver(ConnectionLost("no sign of life")))

    def _tell(self, line: bytes | OSError) -> None:
        """What was sent first arrives first."""
        due_ns = self._loop.now_ns + self._back.transit_ns(256)
        self._last_due_ns = max(self._last_due_ns, due_ns)
        self._loop.at_ns(self._last_due_ns, None, self._deliver(line))

    def _deliver(self, line: bytes | OSError) -> Callable[[], None]:
        return lambda: self._lines.put_nowait(line)


async def _requests(body: bytes) -> AsyncIterator[WatchMessage]:
    for one in json_codec.WatchRequests(BODY_BYTES_MAX).feed(body):
        yield one
