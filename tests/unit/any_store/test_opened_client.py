"""Clients that block run in threads, and a call that takes too long is abandoned."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from splitbrain.harness.clients.address import Address
from splitbrain.harness.clients.any_store.opened_client import open_client
from splitbrain.harness.clients.any_store.store_client import Invocation

MEMBER = Address("n1", "127.0.0.1:7")


class Blocking:
    """Records the threads of its calls. `hang` blocks until `released` is set."""

    def __init__(self) -> None:
        self.threads: list[int] = []
        self.released = threading.Event()
        self.closed = threading.Event()

    def open(self, member: Address) -> None:
        self.threads.append(threading.get_ident())

    def invoke(self, operation: Invocation) -> Any:
        self.threads.append(threading.get_ident())
        if operation.f == "hang":
            self.released.wait(30)
        if operation.f == "raise":
            raise operation.value
        return operation.value

    def close(self) -> None:
        self.threads.append(threading.get_ident())
        self.closed.set()


class Asynchronous:
    def __init__(self) -> None:
        self.closed = False

    async def open(self, member: Address) -> None:
        await asyncio.sleep(0)

    async def invoke(self, operation: Invocation) -> Any:
        if operation.f == "hang":
            await asyncio.sleep(30)
        return operation.value

    async def close(self) -> None:
        self.closed = True


def test_all_calls_of_a_blocking_client_are_in_one_thread_that_is_not_the_loop() -> None:
    client = Blocking()

    async def main() -> None:
        session = await open_client(lambda: client, MEMBER, 5)
        assert await session.invoke(Invocation("write", 3)) == 3
        await session.close()

    asyncio.run(main())
    assert len(client.threads) == 3
    assert len(set(client.threads)) == 1
    assert client.threads[0] != threading.get_ident()
    assert client.closed.is_set()


def test_an_abandoned_call_raises_a_timeout_and_its_client_is_closed_when_it_returns() -> None:
    client = Blocking()

    async def main() -> None:
        session = await open_client(lambda: client, MEMBER, 0.05)
        with pytest.raises(TimeoutError):
            await session.invoke(Invocation("hang"))
        await session.close()
        assert not client.closed.is_set()
        client.released.set()

    asyncio.run(main())
    assert client.closed.wait(30)


@pytest.mark.parametrize("problem", [ValueError("x"), StopIteration("x")])
def test_an_exception_of_a_blocking_client_is_raised(problem: Exception) -> None:
    async def main() -> None:
        session = await open_client(Blocking, MEMBER, 5)
        with pytest.raises((ValueError, RuntimeError), match="x"):
            await session.invoke(Invocation("raise", problem))
        assert await session.invoke(Invocation("write", 1)) == 1
        await session.close()

    asyncio.run(main())


def test_an_asynchronous_client_is_called_in_the_loop() -> None:
    client = Asynchronous()

    async def main() -> None:
        session = await open_client(lambda: client, MEMBER, 0.05)
        assert await session.invoke(Invocation("write", 3)) == 3
        with pytest.raises(TimeoutError):
            await session.invoke(Invocation("hang"))
        await session.close()

    asyncio.run(main())
    assert client.closed


def test_a_client_that_cannot_connect_is_closed() -> None:
    class Refused(Asynchronous):
        async def open(self, member: Address) -> None:
            raise ConnectionRefusedError

    client = Refused()

    async def main() -> None:
        with pytest.raises(ConnectionRefusedError):
            await open_client(lambda: client, MEMBER, 5)

    asyncio.run(main())
    assert client.closed
