"""One watch over a member's JSON gateway, as a stream of answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import aiohttp

from splitbrain.harness.clients.http_connection import ConnectionLost, NotConnected
from splitbrain.harness.clients.kv_codec import decode_error
from splitbrain.harness.clients.member_state import CONNECT_TIMEOUT_S, lines
from splitbrain.harness.clients.watch_codec import WATCH, WatchAnswer, decode_line, encode_watch
from splitbrain.histories.watch import WatchRequest


async def watch(url: str, request: WatchRequest) -> AsyncGenerator[WatchAnswer, None]:
    """Yield the answers of a watch until its stream ends. Close the generator to cancel the watch.

    `url` is the member's client URL. Raises NotConnected or ConnectionLost.
    """
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(url + WATCH, data=encode_watch(request)) as response,
        ):
            if response.status != 200:
                message = decode_error(await response.read())
                raise ConnectionLost(f"{response.status} {message}")
            async for line in lines(response.content):
                yield decode_line(line)
    except aiohttp.ClientConnectorError as problem:
        raise NotConnected(str(problem)) from problem
    except aiohttp.ClientError as problem:
        raise ConnectionLost(str(problem) or type(problem).__name__) from problem
