"""Receives the answers of an `Observe` until its time has passed, over any carrier."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import msgspec

from splitbrain.harness.clients.completion import Completion, completion_of_exception
from splitbrain.harness.clients.json_messages import ServiceAnswer
from splitbrain.harness.clients.service_codec import stream_result
from splitbrain.histories.lock_and_election import Observe

ANSWERS_MAX = 10_000
"""After this number of answers, the client closes the stream."""


async def observe(request: Observe, answers: AsyncGenerator[ServiceAnswer, None]) -> Completion:
    """Collect the `answers` for `request.for_ms`, and return the outcome of `request`.

    If the stream fails before its first answer, the operation fails. If it fails later, the result
    contains the answers until then, and the reason.
    """
    found: list[ServiceAnswer] = []
    try:
        async with asyncio.timeout(request.for_ms / 1000) as window:
            async for answer in answers:
                found.append(answer)
                if len(found) == ANSWERS_MAX:
                    break
            else:
                broken = "the member ended the stream"
                return Completion("ok", stream_result(request, found, broken))
    except (OSError, msgspec.MsgspecError, ValueError) as problem:
        if window.expired():
            return Completion("ok", stream_result(request, found))
        if not found:
            error = problem if isinstance(problem, OSError) else OSError(str(problem))
            return completion_of_exception(request, error)
        return Completion("ok", stream_result(request, found, str(problem) or "disconnected"))
    finally:
        await answers.aclose()
    return Completion("ok", stream_result(request, found))
