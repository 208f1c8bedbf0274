"""The network between clients and simulated members: listeners, and requests in flight."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar

from splitbrain.harness.clients.http_connection import ConnectionLost, NotConnected
from splitbrain.harness.simulation.connection import Machine
from splitbrain.harness.simulation.network import Network
from splitbrain.harness.simulation.simulated_process import Process
from splitbrain.harness.simulation.virtual_loop import VirtualLoop
from splitbrain.node.api.v3_service import Api
from splitbrain.node.messages.errors import RpcError

CLIENT = "clients"
"""The name of the machine on which all clients run. Its links to members are never cut."""

T = TypeVar("T")
Serve = Callable[[Api], Awaitable[T]]


class OpenExchange(Protocol):
    """A connection of a client to a member, or one request on it."""

    def member_gone(self) -> None:
        """Called when the member's process ends."""
        ...


class ClientListener:
    """A member's process that serves clients, and its requests in progress."""

    def __init__(self, process: Process, api: Api) -> None:
        self.process = process
        self.api = api
        self.exchanges: dict[OpenExchange, None] = {}
        process.at_end.append(self._break)

    def _break(self) -> None:
        for exchange in list(self.exchanges):
            exchange.member_gone()


class ClientNetwork:
    """The members' client URLs, and the process that listens at each of them."""

    def __init__(self, loop: VirtualLoop, network: Network) -> None:
        self.loop = loop
        self.network = network
        self._machines: dict[str, Machine] = {}
        self._listeners: dict[str, ClientListener] = {}

    def add(self, url: str, machine: Machine) -> None:
        self._machines[url] = machine

    def serve(self, url: str, process: Process, api: Api) -> None:
        self._listeners[url] = ClientListener(process, api)

    def machine(self, url: str) -> Machine:
        return self._machines[url]

    def listener(self, url: str) -> ClientListener | None:
        """Return the process that listens at `url`, or None if no process does.

        A process that is paused still listens.
        """
        listener = self._listeners.get(url)
        return None if listener is None or listener.process.ended else listener

    async def ask(self, url: str, serve: Serve[T], timeout_s: float) -> T:
        """Call `serve` in the process of the member at `url`, and return its result.

        The request and the answer take time on the network. Raises RpcError if the member refuses
        the request, and OSError if the connection fails or `timeout_s` has passed.
        """
        exchange: Exchange[T] = Exchange(self, self._machines[url], url, serve)
        return await exchange.run(timeout_s)


class Exchange(Generic[T]):
    """One request to a member, from its sending until its answer is back at the client."""

    def __init__(
        self, clients: ClientNetwork, machine: Machine, url: str, serve: Serve[T]
    ) -> None:
        self._loop = clients.loop
        self._clients = clients
        self._reached = clients.network.reached
        self._machine = machine
        self._url = url
        self._serve = serve
        self._out = clients.network.link(CLIENT, machine.name)
        self._back = clients.network.link(machine.name, CLIENT)
        self._future: asyncio.Future[T] = self._loop.create_future()
        self._listener: ClientListener | None = None
        self._task: asyncio.Task[None] | None = None

    async def run(self, timeout_s: float) -> T:
        """Send the request, and return the answer.

        Raises RpcError if the member refuses the request, and OSError if the connection fails or
        `timeout_s` has passed.
        """
        loop = self._loop
        loop.at_ns(loop.now_ns + self._out.transit_ns(256), None, self._arrive)
        timer = loop.at_ns(loop.now_ns + round(timeout_s * 1e9), None, self._time_out)
        try:
            return await self._future
        finally:
            timer.cancel()
            if self._task is not None and not self._task.done():
                self._leave()

    # --- at the member's machine ----------------------------------------------------------

    def _arrive(self) -> None:
        if self._future.done():
            return
        if not self._machine.powered:
            # A machine without power does not refuse the connection, so the client waits until its
            # timeout.
            self._reached("a request found a machine without power")
            return
        self._listener = listener = self._clients.listener(self._url)
        if listener is None:
            self._reached("a request found no listening process")
            self._fail(NotConnected("Connection refused"))
            return
        listener.exchanges[self] = None
        self._loop.soon(listener.process, self._begin, listener)

    def _begin(self, listener: ClientListener) -> None:
        self._task = self._loop.create_task(self._work(listener), name="request")

    async def _work(self, listener: ClientListener) -> None:
        try:
            answer = await self._serve(listener.api)
        except RpcError as refusal:
            self._reached("a member refused a request")
            self._reply(_fails(self._future, refusal))
            return
        self._reply(_answers(self._future, answer))

    def _reply(self, then: Callable[[], object]) -> None:
        assert self._listener is not None
        self._listener.exchanges.pop(self, None)
        self._loop.at_ns(self._loop.now_ns + self._back.transit_ns(256), None, then)

    def member_gone(self) -> None:
        """Handle the end of the member's process: the machine resets the connection.

        The request then fails. A machine that has lost power does not reset the connection, so the
        client waits until its timeout has passed.
        """
        self._reached("a member ended with a request in flight")
        if self._machine.powered:
            self._fail(ConnectionLost("the member is gone"))

    def _fail(self, problem: Exception) -> None:
        due_ns = self._loop.now_ns + self._back.transit_ns(64)
        self._loop.at_ns(due_ns, None, _fails(self._future, problem))

    # --- at the client ---------------------------------------------------------------------

    def _time_out(self) -> None:
        if not self._future.done():
            self._future.set_exception(TimeoutError())

    def _leave(self) -> None:
        """Close the connection at the client.

        The member cancels the request when it notices the closed connection.
        """
        assert self._listener is not None
        self._reached("a client cancelled a request in flight")
        task, listener = self._task, self._listener
        assert task is not None
        listener.exchanges.pop(self, None)
        due_ns = self._loop.now_ns + self._out.transit_ns(64)
        self._loop.at_ns(due_ns, listener.process, task.cancel)


def _answers(future: asyncio.Future[T], answer: T) -> Callable[[], None]:
    def answer_client() -> None:
        if not future.done():
            future.set_result(answer)

    return answer_client


def _fails(future: asyncio.Future[Any], problem: Exception) -> Callable[[], None]:
    def fail() -> None:
        if not future.done():
            future.set_exception(problem)

    return fail
