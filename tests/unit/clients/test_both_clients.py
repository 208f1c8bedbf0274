"""The clients over JSON and over gRPC give the same results, and judge errors alike."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec
import pytest

from splitbrain.harness.clients import grpc_codec, kv_codec
from splitbrain.harness.clients.completion import Completion
from splitbrain.harness.clients.grpc_client import open_grpc_clients
from splitbrain.harness.clients.http_connection import ConnectionLost, NotConnected
from splitbrain.harness.clients.json_client import open_clients
from splitbrain.histories.kv import Compact, Compare, Delete, Put, Range, Txn
from splitbrain.histories.lease import LeaseGrant, LeaseKeepAlives
from splitbrain.histories.lock_and_election import Campaign, Observe, Proclaim
from splitbrain.histories.watch import WatchRequest
from splitbrain.node.api.proto.messages import message_class
from splitbrain.node.api.v3_service import Api
from splitbrain.node.messages import errors
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.real.client_port import serve
from tests.conformance.server_pair import free_port
from tests.unit.api.lone_member import LoneMember

OpenClients = Callable[[int], AbstractAsyncContextManager[Any]]
both = pytest.mark.parametrize("opened", [open_clients, open_grpc_clients], ids=["json", "grpc"])
TIMEOUT_MS = 5_000
EMPTY_SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""The first frame of an HTTP/2 server."""

REQUESTS: tuple[Any, ...] = (
    Put("a", "1"),
    Put("a", "é\n", prev_kv=True),
    Put("b", "x" * 100_000),
    Put("b", "y", prev_kv=True, ignore_lease=True),
    Put("absent", "1", ignore_lease=True),
    Put("b", prev_kv=True, ignore_value=True),
    Range("a"),
    Range("a", range_end="z", sort_by="value", descend=True, limit=1),
    Range("a", range_end="z", keys_only=True, serializable=True),
    Range("a", range_end="z", count_only=True),
    Range("a", range_end="z", sort_by="mod", min_mod=3, max_create=4),
    Range("a", range_end="z", sort_by="create", descend=True, max_mod=4, min_create=2),
    Range("a", revision=2),
    Range("a", revision=99),
    Txn(
        compare=(Compare("a", "value", "=", "é\n"), Compare("a", "version", ">", 0)),
        success=(
            Put("a", "3"), Range("a"),
            Txn(compare=(), success=(Delete("b", prev_kv=True),), failure=()),
        ),
        failure=(),
    ),
    Txn(compare=(Compare("a", "create", "=", 0),), success=(Put("a", "4"),), failure=(Range("b"),)),
    Delete("a", range_end="z", prev_kv=True),
    Compact(3, physical=True),
    Range("a", revision=1),
    Put("", "no key"),
)  # fmt: skip


def serving(opened: OpenClients, act: Callable[[Any, str], Awaitable[Any]], api: Api) -> Any:
    async def run() -> Any:
        url = f"http://127.0.0.1:{free_port()}"
        listening = await serve(url, api, lambda *_, **__: None)
        try:
            async with asyncio.timeout(30), opened(TIMEOUT_MS) as client:
                return await act(client, url)
        finally:
            await listening.close()

    return asyncio.run(run())


async def send_all(client: Any, url: str) -> list[Completion]:
    return [await client.call(url, request) for request in REQUESTS]


def test_both_clients_return_the_same_results_and_outcomes() -> None:
    json, grpc = (
        serving(opened, send_all, Api(LoneMember())) for opened in (open_clients, open_grpc_clients)
    )
    for request, one, other in zip(REQUESTS, json, grpc, strict=True):
        assert one.outcome == other.outcome, request
        assert one.result == other.result, request
        assert one.error.partition(" ")[2] == other.error.partition(" ")[2], request
    assert [one.outcome for one in json].count("ok") == 16


@both
def test_watches_of_one_stream_are_answered(opened: OpenClients) -> None:
    async def act(client: Any, url: str) -> list[Any]:
        await client.call(url, Put("a", "1"))
        watches = (
            WatchRequest("a", start_revision=2, prev_kv=True),
            WatchRequest("b", range_end="c", no_delete=True),
        )
        answers = client.watch(url, watches)
        found = [await anext(answers) for _ in range(3)]
        await client.call(url, Put("a", "2"))
        found.append(await anext(answers))
        await answers.aclose()
        return sorted((answer.created, answer.watch_id, answer.revision) for answer in found)

    found = serving(opened, act, Api(LoneMember()))
    assert found == [(False, 0, 2), (False, 0, 3), (True, 0, 2), (True, 1, 2)]


@both
def test_keep_alives_of_one_stream_are_answered_in_order(opened: OpenClients) -> None:
    async def act(client: Any, url: str) -> Completion:
        for number in (7, 8):
            assert (await client.call(url, LeaseGrant(number, 60))).outcome == "ok"
        found: Completion = await client.call(url, LeaseKeepAlives((8, 7, 9)))
        return found

    found = serving(opened, act, Api(LoneMember()))
    assert [(one.id, one.ttl) for one in found.result.answers] == [(8, 60), (7, 60), (9, 0)]


@both
def test_an_observation_contains_the_leaders_until_its_time_has_passed(opened: OpenClients) -> None:
    async def act(client: Any, url: str) -> list[Completion]:
        nobody = await client.call(url, Observe("e", 50))
        await client.call(url, LeaseGrant(7, 60))
        elected = await client.call(url, Campaign("e", 7, "a"))
        observing = asyncio.ensure_future(client.call(url, Observe("e", 400)))
        await asyncio.sleep(0.2)
        await client.call(url, Proclaim("e", "e/7", 7, elected.result.revision, "b"))
        return [nobody, await observing]

    nobody, found = serving(opened, act, Api(LoneMember()))
    assert (nobody.outcome, nobody.result.answers) == ("ok", ())
    values = [(one.header.revision, one.kv.value) for one in found.result.answers]
    assert values == [(2, "a"), (3, "b")]


@both
def test_an_observation_without_a_member_fails(opened: OpenClients) -> None:
    async def run() -> None:
        async with opened(TIMEOUT_MS) as client:
            url = f"http://127.0.0.1:{free_port()}"
            assert (await client.call(url, Observe("e", 3_000))).outcome == "fail"

    asyncio.run(run())


@both
def test_a_watch_with_small_buffers_receives_everything(opened: OpenClients) -> None:
    async def act(client: Any, url: str) -> list[int]:
        answers = client.watch(url, (WatchRequest("a"),), small_buffers=True)
        assert (await anext(answers)).created
        for number in range(30):
            await client.call(url, Put("a", str(number) * 10_000))
        seen: list[int] = []
        while len(seen) < 30:
            seen += [change.revision for change in (await anext(answers)).changes]
        await answers.aclose()
        return seen

    assert serving(opened, act, Api(LoneMember())) == list(range(2, 32))


@both
def test_nothing_was_sent_if_no_member_listens(opened: OpenClients) -> None:
    async def run() -> None:
        url = f"http://127.0.0.1:{free_port()}"
        async with opened(TIMEOUT_MS) as client:
            assert (await client.call(url, Put("a", "1"))).outcome == "fail"
            assert await client.status(url) is None
            with pytest.raises(NotConnected):
                await anext(client.watch(url, (WatchRequest("a"),)))

    asyncio.run(run())


@both
@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (errors.timed_out(), "info"),
        (errors.too_many_requests(), "fail"),
        (errors.leader_changed(), "info"),
        (errors.lease_not_found(), "fail"),
        (errors.unimplemented("etcdserverpb.KV/Put"), "fail"),
    ],
)
def test_an_error_decides_whether_a_write_may_have_happened(
    opened: OpenClients, error: RpcError, outcome: str
) -> None:
    api = Api(LoneMember())

    async def refuse(_request: Any) -> None:
        raise error

    api.methods["/v3/kv/put"] = refuse

    async def act(client: Any, url: str) -> Completion:
        completion: Completion = await client.call(url, Put("a", "1"))
        return completion

    completion = serving(opened, act, api)
    assert completion.outcome == outcome
    assert error.message in completion.error


@both
def test_an_unanswered_write_may_have_happened(opened: OpenClients) -> None:
    api = Api(LoneMember())

    async def never(_request: Any) -> None:
        await asyncio.Event().wait()

    api.methods["/v3/kv/put"] = never

    async def run() -> None:
        url = f"http://127.0.0.1:{free_port()}"
        listening = await serve(url, api, lambda *_, **__: None)
        async with opened(50) as client:
            late = await client.call(url, Put("a", "1"))
            assert (late.outcome, late.error) == ("info", "timed out")
            # The connection can still be used.
            assert (await client.call(url, Range("a"))).outcome == "ok"
        await listening.close()

    asyncio.run(run())


def test_a_member_that_ends_leaves_its_grpc_calls_undecided() -> None:
    async def run() -> None:
        begun = asyncio.Event()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(EMPTY_SETTINGS)  # from now on, the client sends calls
            received = b""
            while b"etcdserverpb" not in received:
                received += await reader.read(4096)
            begun.set()
            writer.close()

        port = free_port()
        server = await asyncio.start_server(accept, "127.0.0.1", port)
        async with open_grpc_clients(TIMEOUT_MS) as client:
            url = f"http://127.0.0.1:{port}"
            completion = await client.call(url, Put("a", "1"))
            assert begun.is_set()
            assert completion.outcome == "info"
            assert completion.error.startswith("disconnected")
            with pytest.raises(ConnectionLost):
                await anext(client.watch(url, (WatchRequest("a"),)))
        server.close()

    asyncio.run(run())


@both
def test_the_status_of_a_member_is_read(opened: OpenClients) -> None:
    async def act(client: Any, url: str) -> Any:
        await client.call(url, Put("a", "1"))
        return await client.status(url)

    status = serving(opened, act, Api(LoneMember()))
    assert status.header.revision == 2
    assert status.version


@both
def test_many_clients_use_one_member_at_the_same_time(opened: OpenClients) -> None:
    async def act(client: Any, url: str) -> list[Completion]:
        return list(
            await asyncio.gather(*[client.call(url, Put(str(i), "v")) for i in range(100)])
        )

    done = serving(opened, act, Api(LoneMember()))
    revisions = sorted(one.result.header.revision for one in done)
    assert revisions == list(range(2, 102))


def test_both_clients_send_every_field_of_a_put() -> None:
    """A new field that one carrier does not send would be tested over the other one only."""
    whole = Put("a", "1", lease=7, prev_kv=True, ignore_lease=True, ignore_value=True)
    fields = msgspec.to_builtins(kv_codec.wire_form(whole), builtin_types=(bytes,))
    message = message_class("etcdserverpb.PutRequest")()
    message.ParseFromString(grpc_codec.encode(whole)[1])
    assert {field.name for field, _ in message.ListFields()} == set(fields)
    assert set(fields) == {*Put.__struct_fields__} - {"token"}
