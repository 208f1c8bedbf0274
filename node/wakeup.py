"""Wakes a task that waits for work."""

from __future__ import annotations

import asyncio


class Wakeup:
    """A flag that one task waits for. Several calls of `set` wake the task only once.

    It is faster than `asyncio.Event`, but only one task can wait. A member waits for messages,
    entries and flushes thousands of times a second.
    """

    __slots__ = ("_is_set", "_loop", "_waiter")

    def __init__(self) -> None:
        self._is_set = False
        self._loop: asyncio.AbstractEventLoop | None = None
        """The loop of the task, from the first wait on. CPython 3.11 finds it by a system call."""
        self._waiter: asyncio.Future[None] | None = None

    def set(self) -> None:
        """Set the flag, and wake the task if it waits."""
        if not self._is_set:
            self._is_set = True
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(None)

    async def wait(self) -> None:
        """Wait until the flag is set, and clear it."""
        if not self._is_set:
            if self._loop is None:
                self._loop = asyncio.get_running_loop()
            self._waiter = asyncio.Future(loop=self._loop)
            try:
                await self._waiter
            finally:
                self._waiter = None
        self._is_set = False
