"""Calls the checks of members that a user's system defines, such as `healthy` and `leads`."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from splitbrain.nemesis.fault_target import MemberName

CHECK_TIMEOUT_S = 2.0


class HealthChecks:
    """Calls checks of members. A member does not pass a check that raises or takes too long."""

    def __init__(self) -> None:
        self._problems: dict[MemberName, str] = {}
        """For each member, the error of its last check."""

    async def passes(
        self, check: Callable[[MemberName], Awaitable[bool] | bool], member: MemberName
    ) -> bool:
        """Return whether `check(member)` returns True within CHECK_TIMEOUT_S."""
        self._problems.pop(member, None)
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                answer = check(member)
                return bool(await answer if inspect.isawaitable(answer) else answer)
        except Exception as problem:
            self._problems[member] = f"{type(problem).__name__}: {problem}"
            return False

    def last_problem(self, members: Sequence[MemberName]) -> str:
        """Return the error of the last check of a member, as text for a message.

        The member is the first of `members` whose last check raised an error. Returns "" if there
        is no such member.
        """
        text = next((self._problems[one] for one in members if one in self._problems), "")
        return f"; its last check raised {text}" if text else ""


async def awaited(answer: Any) -> None:
    """Await the result of a function that may be a coroutine function."""
    if inspect.isawaitable(answer):
        await answer


async def accepts(host: str, port: int) -> bool:
    """Return whether a process accepts connections at the address `host` and `port`."""
    _, writer = await asyncio.open_connection(host, port)
    writer.close()
    return True
