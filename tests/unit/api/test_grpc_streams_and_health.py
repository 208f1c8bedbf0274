"""gRPC's health checks are answered, streams can require a leader, and pings are limited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from msgspec.structs import replace

from splitbrain.node.api.keepalive import Keepalive
from splitbrain.node.api.proto.messages import message_class
from splitbrain.node.api.v3_service import Api
from splitbrain.node.real.client_port import serve
from tests.conformance.server_pair import free_port
from tests.unit.api.lone_member import LoneMember
from tests.unit.api.test_grpc_server import Client, message, serving

SERVING, SERVICE_UNKNOWN = 1, 3


def health(client: Client, service: str, *, watch: bool = False) -> Any:
    make = client.channel.unary_stream if watch else client.channel.unary_unary
    method = make(
        f"/grpc.health.v1.Health/{'Watch' if watch else 'Check'}",
        request_serializer=lambda one: one.SerializeToString(),
        response_deserializer=message_class("grpc.health.v1.HealthCheckResponse").FromString,
    )
    return method(message_class("grpc.health.v1.HealthCheckRequest")(service=service))


def test_the_whole_server_is_healthy_and_other_services_are_unknown() -> None:
    async def act(client: Client, _port: int) -> None:
        assert (await health(client, "")).status == SERVING
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await health(client, "etcdserverpb.KV")
        assert unknown.value.code() is grpc.StatusCode.NOT_FOUND
        for service, status in (("", SERVING), ("etcdserverpb.KV", SERVICE_UNKNOWN)):
            answers = health(client, service, watch=True)
            assert (await answers.read()).status == status
            answers.cancel()

    serving(Api(LoneMember()), act)


def open_watch(client: Client, *, leader: bool) -> Any:
    async def requests() -> AsyncIterator[Any]:
        yield message("WatchRequest", create_request={"key": b"k"})
        await asyncio.Event().wait()

    stream = client.channel.stream_stream(
        "/etcdserverpb.Watch/Watch",
        request_serializer=lambda one: one.SerializeToString(),
        response_deserializer=message_class("etcdserverpb.WatchResponse").FromString,
    )
    return stream(requests(), metadata=(("hasleader", "true"),) if leader else ())


async def no_leader(call: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call.read()
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert refused.value.details() == "etcdserver: no leader"


def test_a_stream_that_requires_a_leader_ends_when_the_member_has_none() -> None:
    member = LoneMember()
    leading = member.status()
    leaderless = replace(leading, leader=0)
    now = leading
    member.status = lambda: now  # type: ignore[method-assign]

    async def act(client: Client, _port: int) -> None:
        nonlocal now
        watch, other = open_watch(client, leader=True), open_watch(client, leader=False)
        assert (await watch.read()).created
        assert (await other.read()).created
        await client.put(b"k", b"1")
        assert (await watch.read()).events[0].kv.value == b"1"
        now = leaderless
        await no_leader(watch)
        await no_leader(open_watch(client, leader=True))
        now = leading
        await client.put(b"k", b"2")
        assert [(await other.read()).events[0].kv.value for _ in "12"] == [b"1", b"2"]
        again = open_watch(client, leader=True)
        assert (await again.read()).created
        again.cancel()
        other.cancel()
        while len(member.store.watches):
            await asyncio.sleep(0.01)

    serving(Api(member), act)


def with_keepalive(
    keepalive: Keepalive, options: list[tuple[str, int]], act: Callable[[Any], Awaitable[None]]
) -> None:
    async def run() -> None:
        port = free_port()
        listening = await serve(
            f"http://127.0.0.1:{port}", Api(LoneMember()), lambda *_, **__: None,
            keepalive=keepalive,
        )
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
                watch = open_watch(Client(channel), leader=False)
                assert (await watch.read()).created
                await act(watch)
                watch.cancel()
        finally:
            await listening.close()

    asyncio.run(asyncio.wait_for(run(), 30))


PINGS = [("grpc.keepalive_time_ms", 50), ("grpc.http2.max_pings_without_data", 0)]


def test_a_client_that_pings_too_often_is_disconnected() -> None:
    async def act(watch: Any) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as disconnected:
            await watch.read()
        assert disconnected.value.code() is grpc.StatusCode.UNAVAILABLE

    with_keepalive(Keepalive(min_time_ms=60_000), PINGS, act)


def test_a_client_that_pings_as_often_as_it_may_stays_connected() -> None:
    async def act(watch: Any) -> None:
        reading = asyncio.ensure_future(watch.read())
        await asyncio.sleep(0.6)
        assert not reading.done()

    with_keepalive(Keepalive(min_time_ms=1), PINGS, act)
