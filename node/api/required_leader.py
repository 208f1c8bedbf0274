"""Ends the streams of clients that require a leader, when this member knows no leader.

A client requires a leader if its request has the header `hasleader`.

Source: etcd 3.5.1, `server/etcdserver/api/v3rpc/interceptor.go` (monitorLeader).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

from splitbrain.node.api.member_interface import MemberPort
from splitbrain.node.messages import errors
from splitbrain.node.messages.current_client import CALLER

LEADERLESS_ELECTIONS_MAX = 3
"""A stream ends if the member has had no leader for more than this many election timeouts."""

StreamHandler = Callable[[Any], AsyncGenerator[Any, None]]


def requiring_leader(member: MemberPort, handle: StreamHandler) -> StreamHandler:
    """Return `handle` with an additional check for clients that require a leader.

    A stream of such a client ends with an RpcError if the member has no leader when the stream
    begins. It also ends if the member then has no leader for more than three election timeouts.
    """

    def open_stream(requests: Any) -> AsyncGenerator[Any, None]:
        if not CALLER.get().require_leader:
            return handle(requests)
        if not member.status().leader:
            raise errors.no_leader()
        return _until_leaderless(member, handle(requests))

    return open_stream


async def _until_leaderless(
    member: MemberPort, answers: AsyncGenerator[Any, None]
) -> AsyncGenerator[Any, None]:
    loop = asyncio.get_running_loop()
    leaderless = loop.create_task(_leaderless(member))
    answer: asyncio.Task[Any] | None = None
    try:
        while True:
            answer = loop.create_task(_next(answers))
            await asyncio.wait((answer, leaderless), return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise errors.no_leader()
            found = answer.result()
            if found is None:
                return
            yield found
    finally:
        leaderless.cancel()
        if answer is not None:
            answer.cancel()
            await asyncio.wait((answer,))
        await answers.aclose()


async def _next(answers: AsyncGenerator[Any, None]) -> Any:
    """Return the next response, or None after the last one."""
    return await anext(answers, None)


async def _leaderless(member: MemberPort) -> None:
    """Wait until the member has had no leader for more than LEADERLESS_ELECTIONS_MAX timeouts."""
    without = 0
    while without <= LEADERLESS_ELECTIONS_MAX:
        await member.sleep(member.election_timeout_s)
        without = 0 if member.status().leader else without + 1
