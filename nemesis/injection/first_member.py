"""Waits for the first of several members that reaches a point."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable

from splitbrain.nemesis.fault_target import MemberName


async def first_member(
    members: Iterable[MemberName], wait: Callable[[MemberName], Coroutine[None, None, None]]
) -> MemberName:
    """Return the first of `members` for which `wait` has returned.

    The calls of `wait` for the other members are cancelled.
    """
    waits = {asyncio.ensure_future(wait(member)): member for member in members}
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        return next(member for done, member in waits.items() if done.done())
    finally:
        for one in waits:
            one.cancel()
