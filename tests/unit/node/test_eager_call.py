"""A coroutine that runs without a task behaves like one that runs in a task."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any

import pytest

from splitbrain.node.real.eager_call import EagerCall

CALLER: ContextVar[str] = ContextVar("caller", default="nobody")
Ends = list[tuple[Any, BaseException | None]]


def begun(coroutine: Coroutine[Any, Any, Any]) -> tuple[EagerCall[Any], Ends]:
    ends: Ends = []
    return EagerCall(coroutine, lambda *end: ends.append(end)), ends


async def settled(ends: Ends) -> None:
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(ends) == 1


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 10))


def test_a_coroutine_that_does_not_wait_ends_at_once() -> None:
    async def seven() -> int:
        return 7

    async def checked() -> None:
        assert begun(seven())[1] == [(7, None)]

    run(checked())


def test_results_and_errors_of_futures_and_tasks_are_passed_on() -> None:
    async def scenario() -> None:
        first: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        second: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def work() -> list[Any]:
            found: list[Any] = [await first]
            await asyncio.sleep(0)
            try:
                await second
            except KeyError as problem:
                found.append(problem)
            found.append(await asyncio.gather(asyncio.sleep(0, 3), asyncio.sleep(0, 4)))
            return found

        _, ends = begun(work())
        await asyncio.sleep(0)
        assert ends == []
        first.set_result(1)
        problem = KeyError("two")
        second.set_exception(problem)
        await settled(ends)
        assert ends == [([1, problem, [3, 4]], None)]

    run(scenario())


def test_an_error_of_the_coroutine_is_passed_on() -> None:
    async def scenario() -> None:
        async def fail() -> None:
            await asyncio.sleep(0)
            raise ZeroDivisionError

        _, ends = begun(fail())
        await settled(ends)
        assert isinstance(ends[0][1], ZeroDivisionError)

    run(scenario())


@pytest.mark.parametrize("yields", [False, True])
def test_a_cancelled_coroutine_runs_its_end(yields: bool) -> None:
    async def scenario() -> None:
        ended = []

        async def wait() -> None:
            try:
                while yields:
                    await asyncio.sleep(0)
                await asyncio.get_running_loop().create_future()
            finally:
                await asyncio.sleep(0)
                ended.append(True)

        call, ends = begun(wait())
        await asyncio.sleep(0)
        call.cancel()
        await settled(ends)
        assert isinstance(ends[0][1], asyncio.CancelledError)
        assert ended == [True]

    run(scenario())


def test_a_coroutine_has_its_own_context() -> None:
    async def scenario() -> None:
        async def work(name: str) -> str:
            CALLER.set(name)
            await asyncio.sleep(0)
            return CALLER.get()

        calls = [begun(work(name))[1] for name in ("a", "b")]
        for ends in calls:
            await settled(ends)
        assert [ends[0] for ends in calls] == [("a", None), ("b", None)]
        assert CALLER.get() == "nobody"

    run(scenario())
