"""The state of a member can be recorded even if it contains bytes that are not UTF-8."""

from __future__ import annotations

import asyncio
import base64
import functools
import json

import aiohttp
import msgspec
from aiohttp import web
from aiohttp.test_utils import TestServer

from splitbrain.harness.clients.member_state import change_log, watch_from
from splitbrain.histories.member_state import Change


def test_a_state_with_bytes_that_are_not_utf8_can_be_written_and_read() -> None:
    async def watch(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        kv = {
            "key": base64.b64encode(b"k\xff").decode(), "value": base64.b64encode(b"\xfe").decode(),
            "mod_revision": "2", "create_revision": "2", "version": "1",
        }  # fmt: skip
        line = {"result": {"events": [{"kv": kv}]}}
        await answer.write(json.dumps(line).encode() + b"\n")
        return answer

    async def scenario() -> tuple[int, tuple[Change, ...]]:
        application = web.Application()
        application.router.add_post("/v3/watch", watch)
        async with TestServer(application) as server, aiohttp.ClientSession() as session:
            url = str(server.make_url("")).rstrip("/")
            return await change_log(functools.partial(watch_from, session, url), url, 2)

    first, changes = asyncio.run(scenario())
    assert (first, [(one.key, one.value) for one in changes]) == (1, [("k\\xff", "\\xfe")])
    assert msgspec.json.decode(msgspec.json.encode(changes), type=tuple[Change, ...]) == changes
