"""The gRPC server of a member answers grpcio's client, as etcd does."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from msgspec.structs import replace

from splitbrain.node.api.client_network import Carriers
from splitbrain.node.api.proto.messages import message_class
from splitbrain.node.api.v3_service import Api
from splitbrain.node.messages import rpc
from splitbrain.node.messages.current_client import CALLER, Caller
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.metrics import Metrics
from splitbrain.node.real.client_port import PREFACE, serve
from tests.conformance.server_pair import free_port
from tests.unit.api.lone_member import LoneMember

EMPTY_SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
DETAILS = "etcdserver: key is not provided"


def message(name: str, **fields: Any) -> Any:
    return message_class(f"etcdserverpb.{name}")(**fields)


class Client:
    """grpcio's client, which is independent of the code under test."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel

    async def call(self, method: str, request: Any, answer: str, **options: Any) -> Any:
        unary = self.channel.unary_unary(
            f"/etcdserverpb.{method}",
            request_serializer=lambda one: one.SerializeToString(),
            response_deserializer=message_class(f"etcdserverpb.{answer}").FromString,
        )
        return await unary(request, **options)

    async def put(self, key: bytes, value: bytes = b"", **options: Any) -> Any:
        request = message("PutRequest", key=key, value=value)
        return await self.call("KV/Put", request, "PutResponse", **options)

    async def get(self, key: bytes) -> Any:
        return await self.call("KV/Range", message("RangeRequest", key=key), "RangeResponse")

    def watch(self, requests: AsyncIterator[Any]) -> Any:
        stream = self.channel.stream_stream(
            "/etcdserverpb.Watch/Watch",
            request_serializer=lambda one: one.SerializeToString(),
            response_deserializer=message_class("etcdserverpb.WatchResponse").FromString,
        )
        return stream(requests)


def serving(
    api: Api,
    act: Callable[[Client, int], Awaitable[None]],
    *,
    carriers: Carriers = Carriers.BOTH,
    options: list[tuple[str, Any]] | None = None,
) -> None:
    async def run() -> None:
        port = free_port()
        listening = await serve(f"http://127.0.0.1:{port}", api, lambda *_, **__: None, carriers)
        try:
            async with (
                asyncio.timeout(30),
                grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel,
            ):
                await act(Client(channel), port)
        finally:
            await listening.close()

    asyncio.run(run())


def test_an_independent_client_puts_and_gets() -> None:
    async def act(client: Client, _port: int) -> None:
        put = await client.put(b"k", b"v")
        assert put.header.revision == 2
        assert put.header.member_id == 12
        got = await client.get(b"k")
        assert [(kv.key, kv.value, kv.version) for kv in got.kvs] == [(b"k", b"v", 1)]
        assert got.count == 1

    serving(Api(LoneMember()), act)


def test_an_error_has_etcds_code_and_message() -> None:
    async def act(client: Client, _port: int) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await client.put(b"")
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert refused.value.details() == DETAILS

    serving(Api(LoneMember()), act)


def test_unknown_methods_and_services_are_unimplemented() -> None:
    async def act(client: Client, _port: int) -> None:
        for method, why in (
            ("KV/Nothing", "unknown method Nothing for service etcdserverpb.KV"),
            ("Nothing/Put", "unknown service etcdserverpb.Nothing"),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await client.call(method, message("PutRequest"), "PutResponse")
            assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
            assert refused.value.details() == why

    serving(Api(LoneMember()), act)


def test_many_requests_share_one_connection() -> None:
    async def act(client: Client, _port: int) -> None:
        answers = await asyncio.gather(*[client.put(b"%d" % i, b"x" * i) for i in range(500)])
        assert sorted(one.header.revision for one in answers) == list(range(2, 502))

    serving(Api(LoneMember()), act)


def test_messages_larger_than_the_windows_pass_in_both_directions() -> None:
    value = bytes(range(256)) * 5000

    async def act(client: Client, _port: int) -> None:
        for key in (b"a", b"b", b"c", b"d"):
            await client.put(key, value)
        request = message("RangeRequest", key=b"a", range_end=b"z")
        got = await client.call("KV/Range", request, "RangeResponse")
        assert [kv.value for kv in got.kvs] == [value] * 4

    serving(Api(LoneMember()), act, options=[("grpc.max_receive_message_length", -1)])


def test_a_message_over_the_limit_is_refused_as_by_etcd() -> None:
    member = LoneMember()
    member.request_bytes_max = 1000

    async def act(client: Client, _port: int) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await client.put(b"k", b"x" * 600_000)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert str(refused.value.details()).startswith("grpc: received message larger than max (6")
        assert (await client.put(b"k", b"x")).header.revision == 2

    serving(Api(member), act)


def test_many_watches_share_one_stream() -> None:
    member = LoneMember()

    async def act(client: Client, _port: int) -> None:
        more: asyncio.Queue[Any] = asyncio.Queue()

        async def requests() -> AsyncIterator[Any]:
            while (request := await more.get()) is not None:
                yield request

        answers = client.watch(requests())
        for key in (b"a", b"b"):
            more.put_nowait(message("WatchRequest", create_request={"key": key}))
            assert (await answers.read()).created
        await client.put(b"b", b"1")
        event = await answers.read()
        assert event.watch_id == 1
        assert event.events[0].kv.value == b"1"
        more.put_nowait(message("WatchRequest"))  # a union without a value is ignored
        more.put_nowait(message("WatchRequest", cancel_request={"watch_id": 1}))
        assert (await answers.read()).canceled
        assert len(member.store.watches) == 1
        answers.cancel()
        while len(member.store.watches):
            await asyncio.sleep(0.01)

    serving(Api(member), act)


def test_a_watch_waits_for_a_client_that_does_not_read() -> None:
    member = LoneMember()
    value = b"x" * 100_000

    async def act(client: Client, _port: int) -> None:
        async def requests() -> AsyncIterator[Any]:
            yield message("WatchRequest", create_request={"key": b"k"})

        answers = client.watch(requests())
        assert (await answers.read()).created
        for _ in range(50):
            await client.put(b"k", value)
        revisions: list[int] = []
        while len(revisions) < 50:
            revisions += [one.kv.mod_revision for one in (await answers.read()).events]
        assert revisions == list(range(2, 52))
        answers.cancel()

    serving(Api(member), act)


def test_a_deadline_of_the_client_cancels_its_request() -> None:
    api = Api(LoneMember())
    cancelled = asyncio.Event()

    async def never(_request: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    api.methods["/v3/kv/put"] = never

    async def act(client: Client, _port: int) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as late:
            await client.put(b"k", timeout=0.05)
        assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await cancelled.wait()

    serving(api, act)


def test_a_lost_connection_cancels_its_requests() -> None:
    api = Api(LoneMember())
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def never(_request: Any) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    api.methods["/v3/kv/put"] = never

    async def act(client: Client, port: int) -> None:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            lost = asyncio.ensure_future(Client(channel).put(b"k"))
            await begun.wait()
        with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
            await lost
        await cancelled.wait()

    serving(api, act)


def test_a_member_that_stops_answers_its_requests_with_etcds_error() -> None:
    async def run() -> None:
        api, begun = Api(LoneMember()), asyncio.Event()

        async def never(_request: Any) -> None:
            begun.set()
            await asyncio.Event().wait()

        api.methods["/v3/kv/put"] = never
        port = free_port()
        listening = await serve(f"http://127.0.0.1:{port}", api, lambda *_, **__: None)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            client = Client(channel)

            async def requests() -> AsyncIterator[Any]:
                yield message("WatchRequest", create_request={"key": b"k"})
                await asyncio.Event().wait()

            answers = client.watch(requests())
            assert (await answers.read()).created
            put = asyncio.ensure_future(client.put(b"k"))
            await begun.wait()
            await listening.close()
            for pending in (put, asyncio.ensure_future(answers.read())):
                with pytest.raises(grpc.aio.AioRpcError) as stopped:
                    await pending
                assert stopped.value.code() is grpc.StatusCode.UNAVAILABLE
                assert stopped.value.details() == "etcdserver: server stopped"

    asyncio.run(asyncio.wait_for(run(), 30))


def test_the_handler_of_a_stream_waits_for_a_client_that_does_not_read() -> None:
    api, sent = Api(LoneMember()), 0

    async def endless(_requests: Any) -> AsyncIterator[Any]:
        nonlocal sent
        while True:
            sent += 1
            yield rpc.WatchResponse(header=rpc.ResponseHeader(), cancel_reason="x" * 100_000)

    api.streams["/v3/watch"] = endless  # type: ignore[assignment]

    async def act(client: Client, _port: int) -> None:
        async def requests() -> AsyncIterator[Any]:
            yield message("WatchRequest")

        answers = client.watch(requests())
        assert len((await answers.read()).cancel_reason) == 100_000
        before = -1
        while sent != before:  # until the handler waits
            before = sent
            await asyncio.sleep(0.3)
        assert sent < 100
        for _ in range(before + 5):  # the handler goes on when the client reads
            await answers.read()
        answers.cancel()

    serving(api, act)


def test_compressed_requests_are_read() -> None:
    async def act(client: Client, _port: int) -> None:
        await client.put(b"k", b"v" * 1000, compression=grpc.Compression.Gzip)
        assert (await client.get(b"k")).kvs[0].value == b"v" * 1000

    serving(Api(LoneMember()), act)


def inner_servers() -> list[str]:
    """Return the abstract names of Unix sockets at which this process listens."""
    own = {
        str(one.readlink()) for one in Path("/proc/self/fd").iterdir() if one.is_symlink()
    }
    rows = [row.split() for row in Path("/proc/net/unix").read_text().splitlines()]
    found = {row[7][1:] for row in rows if f"socket:[{row[6]}]" in own and row[7:]}
    return [name for name in found if re.fullmatch("splitbrain-[0-9a-f]{32}", name)]


def test_only_the_client_port_can_reach_the_inner_server() -> None:
    async def act(_client: Client, _port: int) -> None:
        (name,) = inner_servers()
        async with grpc.aio.insecure_channel(f"unix-abstract:{name}") as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await Client(channel).put(b"k", timeout=5)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED

    serving(Api(LoneMember()), act)


def test_many_connections_are_served_at_the_same_time() -> None:
    async def act(_client: Client, port: int) -> None:
        async def one(number: int) -> int:
            own = [("grpc.use_local_subchannel_pool", 1)]
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=own) as channel:
                put = await Client(channel).put(b"%d" % number)
                return int(put.header.revision)

        assert sorted(await asyncio.gather(*map(one, range(100)))) == list(range(2, 102))

    serving(Api(LoneMember()), act)


def test_handlers_see_the_carrier_the_token_and_the_demand_for_a_leader() -> None:
    api = Api(LoneMember())
    seen: list[Caller] = []

    async def note(_request: Any) -> Any:
        seen.append(CALLER.get())
        raise RpcError(5, "noted")  # type: ignore[arg-type]

    api.methods["/v3/kv/put"] = note

    async def act(client: Client, _port: int) -> None:
        for metadata in ((), (("token", "t.1"), ("hasleader", "true"))):
            with pytest.raises(grpc.aio.AioRpcError, match="noted"):
                await client.put(b"k", metadata=metadata)

    serving(api, act)
    assert seen == [Caller("grpc"), Caller("grpc", "t.1", require_leader=True)]


def test_an_unexpected_error_of_a_handler_is_internal_and_logged() -> None:
    api = Api(LoneMember())

    async def fail(_request: Any) -> None:
        raise KeyError("x")

    api.methods["/v3/kv/put"] = fail

    async def act(client: Client, _port: int) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await client.put(b"k")
        assert failed.value.code() is grpc.StatusCode.INTERNAL

    serving(api, act)


def test_requests_are_counted_under_etcds_names() -> None:
    metrics = Metrics("1", "3.5.1")

    async def act(client: Client, _port: int) -> None:
        await client.put(b"k")
        with pytest.raises(grpc.aio.AioRpcError):
            await client.put(b"")

    serving(Api(LoneMember(), metrics=metrics), act)
    labels = 'grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"'
    text = metrics.render().decode()
    assert f"grpc_server_started_total{{{labels}}} 2.0" in text
    assert f'grpc_server_handled_total{{grpc_code="InvalidArgument",{labels}}} 1.0' in text


async def first_bytes(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    answer = await reader.read(100)
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("carriers", "grpc_works", "http_works"),
    [(Carriers.BOTH, True, True), (Carriers.GRPC, True, False), (Carriers.HTTP, False, True)],
)
def test_one_port_serves_the_carriers_that_it_is_given(
    carriers: Carriers, *, grpc_works: bool, http_works: bool
) -> None:
    async def act(client: Client, port: int) -> None:
        http = await first_bytes(port, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert http.startswith(b"HTTP/1.1 200") == http_works
        http2 = await first_bytes(port, PREFACE + EMPTY_SETTINGS)
        assert (http2[3:4] == b"\x04") == grpc_works  # a SETTINGS frame

    serving(Api(LoneMember()), act, carriers=carriers)


def test_the_preface_may_arrive_in_pieces() -> None:
    async def act(_client: Client, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for part in (b"P", b"RI * HT", b"TP/2.0\r\n\r\nSM\r\n", b"\r\n" + EMPTY_SETTINGS):
            writer.write(part)
            await asyncio.sleep(0.01)
        assert (await reader.readexactly(9))[3] == 4  # a SETTINGS frame
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for part in (b"P", b"UT / HTTP/1.1\r\nHost: x\r\n", b"Content-Length: 0\r\n\r\n"):
            writer.write(part)
            await asyncio.sleep(0.01)
        assert (await reader.read(12)) == b"HTTP/1.1 404"
        writer.close()

    serving(Api(LoneMember()), act)


def test_a_client_that_requires_a_leader_is_refused_without_one() -> None:
    member = LoneMember()
    without_leader = replace(member.status(), leader=0)
    member.status = lambda: without_leader  # type: ignore[method-assign]

    async def act(client: Client, _port: int) -> None:
        assert (await client.put(b"k")).header.revision == 2
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await client.put(b"k", metadata=(("hasleader", "true"),))
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert refused.value.details() == "etcdserver: no leader"

    serving(Api(member), act)
