"""A client of a v3 store over its JSON gateway, for load.

All clients of a run share one session of aiohttp and its connections; a client has
one request under way at a time, so there are at most as many connections to a member
as there are clients. (`requests` in threads drives 1,900 requests a second on one
core, aiohttp 15,000.)
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

import aiohttp
import msgspec

from harness.gateway_codec import decode_error, decode_result, encode_request
from harness.member_status import Status, status
from harness.outcome import of_exception, of_status
from histories.kv import Request, Result

JSON_HEADERS = {"Content-Type": "application/json"}
ANSWER_BYTES_MAX = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Completion:
    """What became of a request: `result` for `ok`, `error` for `fail` and `info`."""

    outcome: Literal["ok", "fail", "info"]
    result: Result | None = None
    error: str = ""


def open_session(timeout_ms: int) -> aiohttp.ClientSession:
    """The session that a run's clients share. To be closed by whoever opens it."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, use_dns_cache=True, ttl_dns_cache=None),
        timeout=aiohttp.ClientTimeout(total=timeout_ms / 1000, ceil_threshold=3600),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        headers=JSON_HEADERS,
        auto_decompress=False,
    )


class GatewayClient:
    """Sends one request at a time and says what became of it; never raises for a store's
    failure. Never retries: a retried write could happen twice under one record.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def call(self, url: str, request: Request) -> Completion:
        """`url` is the member's client URL, without a path."""
        path, body = encode_request(request)
        try:
            async with self._session.post(url + path, data=body) as response:
                answer = await response.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            outcome, text = of_exception(request, error)
            return Completion(outcome, None, text)
        if response.status != 200:
            outcome, text = of_status(request, response.status, decode_error(answer))
            return Completion(outcome, None, text)
        return _answered(request, answer)

    async def status(self, url: str) -> Status | None:
        """None if it does not answer."""
        return await status(self._session, url)


@contextlib.asynccontextmanager
async def open_clients(timeout_ms: int) -> AsyncIterator[GatewayClient]:
    """A client over a session of its own, which is closed in the end."""
    async with open_session(timeout_ms) as session:
        yield GatewayClient(session)


def _answered(request: Request, answer: bytes) -> Completion:
    try:
        return Completion("ok", decode_result(request, answer))
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        # The store said that it succeeded; what it said besides cannot be read, so
        # it cannot be judged, and must not count as not having happened.
        return Completion("info", None, f"answer not understood: {problem}: {answer[:120]!r}")
