"""The HTTP server of a member answers real connections, in the form of etcd's gateway."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from splitbrain.node.api.v3_service import Api
from splitbrain.node.metrics import Metrics
from splitbrain.node.real.client_port import serve
from splitbrain.node.world import AddressInUse
from tests.conformance.server_pair import free_port
from tests.unit.api.lone_member import LoneMember

PUT = b'{"key":"YQ==","value":"MQ=="}'


class Failpoints:
    def __init__(self) -> None:
        self.terms: dict[str, str] = {}

    def set(self, name: str, term: str) -> None:
        if term != "panic":
            raise ValueError(f"no term {term!r}; expected panic")
        self.terms[name] = term

    def clear(self, name: str) -> None:
        del self.terms[name]

    def list(self) -> dict[str, str]:
        return dict(self.terms)


class Lines:
    """The member's log, as (level, message, fields)."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, object]]] = []

    def __call__(self, level: str, message: str, **fields: object) -> None:
        self.lines.append((level, message, fields))


def serving(api: Api, act: Callable[[int], Awaitable[None]], log: Lines | None = None) -> None:
    async def run() -> None:
        port = free_port()
        listening = await serve(f"http://127.0.0.1:{port}", api, log or Lines())
        try:
            async with asyncio.timeout(10):
                await act(port)
        finally:
            await listening.close()

    asyncio.run(run())


def request(path: str, body: bytes, *, method: str = "POST", headers: str = "") -> bytes:
    return (
        f"{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split()[1])
    (length,) = [
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length")
    ]
    return status, await reader.readexactly(length)


def revision(body: bytes) -> int:
    return int(json.loads(body)["header"]["revision"])


def test_fragmented_pipelined_and_chunked_requests_are_answered_in_order() -> None:
    async def act(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        plain = request("/v3/kv/put", PUT)
        writer.write(plain * 3)
        assert [revision((await answer(reader))[1]) for _ in range(3)] == [2, 3, 4]
        cut = plain.index(b"\r\n\r\n") + 10
        writer.write(plain[:cut])
        await asyncio.sleep(0.01)
        writer.write(plain[cut:] + plain[:5])
        assert revision((await answer(reader))[1]) == 5
        await asyncio.sleep(0.01)
        writer.write(plain[5:])
        assert revision((await answer(reader))[1]) == 6
        chunked = b"POST /v3/kv/put HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(chunked + b"%x\r\n%b\r\n0\r\n\r\n" % (len(PUT), PUT) + plain)
        assert [revision((await answer(reader))[1]) for _ in range(2)] == [7, 8]
        writer.close()

    serving(Api(LoneMember()), act)


def test_a_watch_ends_when_its_client_disconnects() -> None:
    member = LoneMember()

    async def act(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("/v3/watch", b'{"create_request":{"key":"YQ=="}}'))
        await reader.readuntil(b'"created":true}}')
        assert len(member.store.watches) == 1
        writer.close()
        while len(member.store.watches):
            await asyncio.sleep(0.01)

    serving(Api(member), act)


def test_a_watch_accepts_further_requests_while_it_sends_answers() -> None:
    async def act(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /v3/watch HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for body, expected in (
            (b'{"create_request":{"key":"YQ=="}}', b'"created":true}}'),
            (b'{"progress_request":{}}', b'"watch_id":"-1"}}'),
            (b'{"cancel_request":{"watch_id":0}}', b'"canceled":true}}'),
        ):
            writer.write(b"%x\r\n%b\r\n" % (len(body), body))
            await reader.readuntil(expected)
        writer.close()

    serving(Api(LoneMember()), act)


def test_a_body_over_the_limit_is_refused_as_too_large() -> None:
    member = LoneMember()
    member.request_bytes_max = 1000

    async def act(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("/v3/kv/put", b"x" * 2_000_000))
        status, body = await answer(reader)
        assert status == 429
        assert b"larger than max" in body
        writer.close()

    serving(Api(member), act)


def test_health_reports_the_reason_of_an_unhealthy_member() -> None:
    member = LoneMember()
    member.healthy = (False, "no leader")

    async def act(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("/health", b"", method="GET"))
        assert await answer(reader) == (503, b'{"health":"false","reason":"no leader"}\n')
        writer.close()

    serving(Api(member), act)


def test_failpoints_are_served_only_if_the_api_is_given_them() -> None:
    async def calls(port: int, *requests: bytes) -> list[tuple[int, bytes]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        found = []
        for one in requests:
            writer.write(one)
            found.append(await answer(reader))
        writer.close()
        return found

    async def without(port: int) -> None:
        (found,) = await calls(port, request("/admin/failpoints", b"", method="GET"))
        assert found[0] == 404

    async def with_admin(port: int) -> None:
        path = "/admin/failpoints/before_leader_wal"
        found = await calls(
            port,
            request(path, b"panic", method="PUT"),
            request(path, b"dance", method="PUT"),
            request("/admin/failpoints", b"", method="GET"),
            request(path, b"", method="DELETE"),
            request(path, b"", method="GET"),
        )
        assert found == [
            (200, b'{"before_leader_wal":"panic"}'),
            (400, b"no term 'dance'; expected panic\n"),
            (200, b'{"before_leader_wal":"panic"}'),
            (200, b"{}"),
            (200, b'{"before_leader_wal":"off"}'),
        ]

    serving(Api(LoneMember()), without)
    serving(Api(LoneMember(), admin=Failpoints()), with_admin)


def test_metrics_have_etcds_names_and_count_requests() -> None:
    async def act(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("/v3/kv/put", PUT))
        await answer(reader)
        writer.write(request("/metrics", b"", method="GET"))
        _, body = await answer(reader)
        for line in (
            b"etcd_server_has_leader 0.0",
            b"etcd_server_proposals_committed_total 0.0",
            b"etcd_disk_wal_fsync_duration_seconds_count 0.0",
            b'grpc_server_handled_total{grpc_code="OK",grpc_method="Put",'
            b'grpc_service="etcdserverpb.KV",grpc_type="unary"} 1.0',
            b'grpc_server_started_total{grpc_method="Put",'
            b'grpc_service="etcdserverpb.KV",grpc_type="unary"} 1.0',
            b"process_resident_memory_bytes ",
        ):
            assert line in body
        writer.close()

    serving(Api(LoneMember(), metrics=Metrics("n1", "3.5.1")), act)


def test_an_address_in_use_is_reported() -> None:
    async def act(port: int) -> None:
        with pytest.raises(AddressInUse, match="something else listens"):
            await serve(f"http://127.0.0.1:{port}", Api(LoneMember()), Lines())

    serving(Api(LoneMember()), act)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",
        b"POST /v3/kv/put HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
        b"POST /v3/kv/put HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
        b"POST /v3/kv/put HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /v3/kv/put HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nContent-Encoding: gzip"
        b"\r\n\r\nno gzip!!",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 10_000 + b"\r\n\r\n",
    ],
    ids=["TLS", "header", "length", "chunk", "encoding", "long header"],
)
def test_a_malformed_request_is_answered_and_logged_in_one_line(
    sent: bytes, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    log = Lines()

    async def act(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        assert (await reader.readline()).split()[1] == b"400"
        await reader.read()
        writer.close()

    serving(Api(LoneMember()), act, log)
    ((level, message, fields),) = log.lines
    assert (level, message, fields["client"]) == ("warn", "malformed HTTP request", "127.0.0.1")
    assert fields["why"]
    assert "\n" not in str(fields["why"])
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")
