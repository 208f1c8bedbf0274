"""A watch stream that fails inside the member ends with an error, and the failure is logged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from splitbrain.node.api.v3_service import Api
from splitbrain.node.api.watch import WatchStream
from splitbrain.node.messages import rpc
from splitbrain.node.messages.errors import Code, RpcError
from splitbrain.node.real.client_port import serve
from splitbrain.node.storage.content_checksums import BackendDamaged
from tests.conformance.server_pair import free_port
from tests.unit.api.lone_member import LoneMember
from tests.unit.api.test_http import Lines, answer, request


async def requests(*messages: rpc.WatchRequest) -> AsyncIterator[rpc.WatchRequest]:
    for message in messages:
        yield message


def fail_with(problem: Exception) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> Any:
        raise problem

    return fail


async def end_of(member: LoneMember, create: rpc.WatchCreateRequest) -> RpcError:
    """The error with which a stream ends after its watch was created."""
    answers = WatchStream(member).run(requests(create))
    assert (await anext(answers)).created
    with pytest.raises(RpcError) as ended:
        async with asyncio.timeout(5):
            await anext(answers)
    return ended.value


def member_with_history() -> LoneMember:
    member = LoneMember()
    asyncio.run(member.propose(rpc.PutRequest(b"a", b"1")))
    return member


def test_a_watcher_that_cannot_read_its_events_ends_the_stream() -> None:
    member = member_with_history()
    member.store.watches.catch_up = fail_with(KeyError("no"))  # type: ignore[method-assign]
    ended = asyncio.run(end_of(member, rpc.WatchCreateRequest(b"a", start_revision=1)))
    assert ended.code is Code.INTERNAL
    assert ended.message == "etcdserver: watch stream failed: KeyError: 'no'"
    assert [what for what, _ in member.failures] == ["a watch stream"]


def test_a_damaged_backend_ends_the_stream_and_is_reported() -> None:
    member, damage = member_with_history(), BackendDamaged("no")
    member.store.changes = fail_with(damage)  # type: ignore[method-assign]
    ended = asyncio.run(end_of(member, rpc.WatchCreateRequest(b"a", start_revision=1)))
    assert ended.code is Code.DATA_LOSS
    assert member.failures == [("a watch stream", damage)]


def test_progress_notifications_that_fail_end_the_stream() -> None:
    member = LoneMember()
    member.sleep = fail_with(ZeroDivisionError())  # type: ignore[method-assign]
    ended = asyncio.run(end_of(member, rpc.WatchCreateRequest(b"a", progress_notify=True)))
    assert ended.code is Code.INTERNAL


def test_an_error_of_the_requests_ends_the_stream_with_that_error() -> None:
    async def broken() -> AsyncIterator[rpc.WatchRequest]:
        yield rpc.WatchCreateRequest(b"a")
        raise RpcError(Code.UNKNOWN, "not a request")

    async def scenario() -> None:
        answers = WatchStream(member).run(broken())
        assert (await anext(answers)).created
        with pytest.raises(RpcError, match="not a request"):
            await anext(answers)

    member = LoneMember()
    asyncio.run(scenario())
    assert not member.failures


def test_the_gateway_sends_the_error_as_the_last_line() -> None:
    member = member_with_history()
    member.store.watches.catch_up = fail_with(KeyError("no"))  # type: ignore[method-assign]

    async def scenario() -> list[dict[str, Any]]:
        port = free_port()
        listening = await serve(f"http://127.0.0.1:{port}", Api(member), Lines())
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = b'{"create_request":{"key":"YQ==","start_revision":"1"}}'
        writer.write(request("/v3/watch", body))
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head.splitlines()[0]
        chunks = b""
        while not chunks.endswith(b"0\r\n\r\n"):
            chunks += await reader.read(4096)
        writer.close()
        await listening.close()
        return [json.loads(line) for line in chunks.splitlines() if line.startswith(b"{")]

    created, error = asyncio.run(asyncio.wait_for(scenario(), 10))
    assert created["result"]["created"] is True
    assert error == {"error": {
        "grpc_code": 13, "http_code": 500, "http_status": "Internal Server Error",
        "message": "etcdserver: watch stream failed: KeyError: 'no'",
    }}


@pytest.mark.parametrize(("path", "body"), [
    ("/v3/kv/range", b'{"key":"YQ=="}'),
    ("/v3/kv/txn", b'{"success":[{"request_range":{"key":"YQ=="}}]}'),
    ("/v3/maintenance/hash", b"{}"),
    ("/v3/maintenance/hashkv", b"{}"),
])
def test_a_request_that_reads_damaged_data_is_refused_and_reported(path: str, body: bytes) -> None:
    member, damage = member_with_history(), BackendDamaged("no")
    for name in ("range", "range_at", "hash", "hash_kv"):
        setattr(member.store, name, fail_with(damage))

    async def scenario() -> tuple[int, bytes]:
        port = free_port()
        listening = await serve(f"http://127.0.0.1:{port}", Api(member), Lines())
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request(path, body))
        found = await answer(reader)
        writer.close()
        await listening.close()
        return found

    status, found = asyncio.run(asyncio.wait_for(scenario(), 10))
    assert status == 500
    assert json.loads(found)["message"] == "etcdserver: corrupt cluster"
    assert member.failures == [(path, damage)]
