"""Opens, calls and closes one client of the user, for one process of the history.

A synchronous client runs in a separate thread, so that its connection belongs to one thread. A call
that takes too long is abandoned. Its thread closes the client when the call returns, because most
libraries do not allow a second thread to use a connection. The threads are daemons, so that an
abandoned call does not keep the harness alive.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from collections.abc import Awaitable, Callable
from queue import SimpleQueue
from typing import Any, Protocol

from splitbrain.harness.clients.address import Address
from splitbrain.harness.clients.any_store.store_client import Invocation

CLOSE_TIMEOUT_S = 2.0

Call = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class OpenedClient(Protocol):
    """An opened client of the user, which executes one operation after the other."""

    async def invoke(self, operation: Invocation) -> Any:
        """Let the client execute `operation`, and return the answer.

        Raises the client's exception, or TimeoutError.
        """
        ...

    async def close(self) -> None:
        """Close the client, without waiting for an abandoned call. Never raises."""
        ...


async def open_client(
    make: Callable[[], Any], member: Address, timeout_s: float
) -> OpenedClient:
    """Create a client with `make` and open it at `member`.

    Raises the exception of the client's `open`, or TimeoutError after `timeout_s`.
    """
    client = make()
    asynchronous = inspect.iscoroutinefunction(client.open)
    opened: _Asynchronous | _Threaded = (
        _Asynchronous(client, timeout_s) if asynchronous else _Threaded(client, timeout_s)
    )
    try:
        await opened.call(lambda: client.open(member))
    except BaseException:
        await opened.close()
        raise
    return opened


class _Asynchronous:
    """An opened client whose methods are coroutines."""

    def __init__(self, client: Any, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s

    async def call(self, function: Callable[[], Any]) -> Any:
        async with asyncio.timeout(self._timeout_s):
            answer = function()
            return await answer if inspect.isawaitable(answer) else answer

    async def invoke(self, operation: Invocation) -> Any:
        return await self.call(lambda: self._client.invoke(operation))

    async def close(self) -> None:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                answer = self._client.close()
                if isinstance(answer, Awaitable):
                    await answer


class _Threaded:
    """An opened synchronous client, which runs in a separate thread."""

    def __init__(self, client: Any, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._calls: SimpleQueue[Call | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        self._busy = False
        threading.Thread(target=self._run, name="splitbrain client", daemon=True).start()

    async def call(self, function: Callable[[], Any]) -> Any:
        future: asyncio.Future[Any] = self._loop.create_future()
        self._busy = True
        self._calls.put((function, future))
        async with asyncio.timeout(self._timeout_s):
            return await future

    async def invoke(self, operation: Invocation) -> Any:
        return await self.call(lambda: self._client.invoke(operation))

    async def close(self) -> None:
        self._calls.put(None)
        if not self._busy:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await asyncio.shield(self._ended)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            function, future = call
            how: Callable[[Any, Any], None] = _succeed
            try:
                value = function()
            except BaseException as problem:
                how, value = _fail, problem
            self._busy = False
            self._tell(how, future, value)
        with contextlib.suppress(Exception):
            self._client.close()
        self._tell(_succeed, self._ended, None)

    def _tell(self, how: Callable[[Any, Any], None], future: Any, value: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(how, future, value)


def _succeed(future: asyncio.Future[Any], answer: Any) -> None:
    if not future.done():
        future.set_result(answer)


def _fail(future: asyncio.Future[Any], problem: BaseException) -> None:
    if isinstance(problem, StopIteration):  # which a future refuses
        problem = RuntimeError(f"StopIteration: {problem}")
    if not future.done():
        future.set_exception(problem)
