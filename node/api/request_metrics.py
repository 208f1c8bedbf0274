"""Counts requests and measures their durations, under the names of etcd's gRPC metrics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from splitbrain.node import metrics
from splitbrain.node.api.methods import Method
from splitbrain.node.messages.errors import Code


def observer(
    registry: metrics.Metrics | None, method: Method
) -> tuple[Callable[[], None], Callable[[Code, float], None]]:
    """Return the functions that record a request of `method` in the metrics.

    Call the first one when a request arrives. Call the second one when the request ends, with its
    code and its duration in seconds.
    """
    if registry is None:
        return lambda: None, lambda _code, _seconds: None
    names = {code: _camel(code) for code in Code}
    counts = registry.requests.of(method.name, method.service, method.kind.value, names.values())

    def observe(code: Code, elapsed_s: float) -> None:
        counts.end(names[code], elapsed_s)

    return counts.begin, observe


Decode = Callable[[bytes], Any]
Encode = Callable[[Any], bytes]


def counting_bytes(
    registry: metrics.Metrics | None, decode: Decode, encode: Encode
) -> tuple[Decode, Encode]:
    """Return `decode` and `encode`, so that the traffic with clients contains their bytes."""
    if registry is None:
        return decode, encode
    traffic = registry.client_traffic

    def counted(data: bytes) -> Any:
        traffic.received_bytes += len(data)
        return decode(data)

    def encoded(response: Any) -> bytes:
        data = encode(response)
        traffic.sent_bytes += len(data)
        return data

    return counted, encoded


def timed(
    handle: Callable[[Any], Awaitable[Any]], durations: metrics.Durations
) -> Callable[[Any], Awaitable[Any]]:
    """Return `handle`, so that `durations` contains the time of each request that succeeds."""

    async def measured(request: Any) -> Any:
        clock = asyncio.get_running_loop().time
        begin = clock()
        response = await handle(request)
        durations.observe(clock() - begin)
        return response

    return measured


def timed_stream(
    handle: Callable[[Any], AsyncGenerator[Any, None]], durations: metrics.Durations
) -> Callable[[Any], AsyncGenerator[Any, None]]:
    """Return `handle`, so that `durations` contains the time of each stream that ends."""

    async def measured(request: Any) -> AsyncGenerator[Any, None]:
        clock = asyncio.get_running_loop().time
        begin = clock()
        async with aclosing(handle(request)) as responses:
            async for response in responses:
                yield response
        durations.observe(clock() - begin)

    return measured


def _camel(code: Code) -> str:
    """Return the code's name as Go prints it, such as InvalidArgument."""
    return "OK" if code is Code.OK else code.name.title().replace("_", "")
