"""Runs tasks beside the phases of a run, and ends them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any


@contextlib.asynccontextmanager
async def in_background(*coroutines: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run `coroutines` as tasks while the body of `async with` runs.

    At the end, the tasks are cancelled. If a task has failed, its error is raised.
    """
    tasks = [asyncio.create_task(one) for one in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            await cancel_and_wait(task)
    for task in tasks:
        if not task.cancelled() and (problem := task.exception()) is not None:
            raise problem


def is_cancelling() -> bool:
    """Return whether the current task was asked to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def cancel_and_wait(task: asyncio.Task[None]) -> None:
    """Cancel `task` and wait until it has ended. An error stays in the task."""
    task.cancel()
    while not task.done():
        await asyncio.wait([task])
