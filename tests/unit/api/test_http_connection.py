"""A connection of HTTP/1 follows RFC 9112, and keeps its limits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from splitbrain.node.api import http_message
from splitbrain.node.api.v3_service import Api
from splitbrain.node.messages import rpc
from splitbrain.node.messages.internal_request import ClientWrite, OperationResponse
from splitbrain.node.real import http_server
from splitbrain.node.real.client_port import serve
from tests.conformance.server_pair import free_port
from tests.unit.api.lone_member import LoneMember
from tests.unit.api.test_http import PUT, Lines, answer, request, revision, serving

WATCH = b'{"create_request":{"key":"YQ=="}}'
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def talking(
    member: LoneMember, act: Callable[[Streams], Awaitable[None]], log: Lines | None = None
) -> None:
    async def run(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await act((reader, writer))
        writer.close()

    serving(Api(member), run, log)


async def head(reader: asyncio.StreamReader) -> list[bytes]:
    return (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")[:-2]


async def unused(port: int) -> Streams:
    """A connection whose only request is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request("/version", b"", method="GET"))
    assert (await answer(reader))[0] == 200
    return reader, writer


class SlowMember(LoneMember):
    """A member whose writes wait until `applied` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.applied = asyncio.Event()
        self.waiting = 0
        self.cancelled = 0

    async def propose(self, operation: ClientWrite) -> OperationResponse:
        self.waiting += 1
        try:
            await self.applied.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return await super().propose(operation)


def test_thousands_of_pipelined_requests_are_answered_in_order() -> None:
    async def act(streams: Streams) -> None:
        reader, writer = streams
        writer.write(request("/v3/kv/put", PUT) * 3000)
        for number in range(3000):
            assert revision((await answer(reader))[1]) == number + 2

    talking(LoneMember(), act)


def test_a_client_that_reads_no_answers_is_not_read_from_any_more() -> None:
    member = LoneMember()

    async def act(streams: Streams) -> None:
        reader, writer = streams
        await member.propose(rpc.PutRequest(b"a", b"x" * 1_000_000))
        gets = request("/v3/kv/range", b'{"key":"YQ=="}')
        writer.write(gets * 300_000)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(writer.drain(), 0.3)
        for _ in range(20):
            assert (await answer(reader))[0] == 200
        writer.transport.abort()

    talking(member, act)


def test_a_request_that_waits_is_cancelled_when_its_client_disconnects() -> None:
    member = SlowMember()

    async def act(streams: Streams) -> None:
        _, writer = streams
        writer.write(request("/v3/kv/put", PUT) * 2)
        while not member.waiting:
            await asyncio.sleep(0.001)
        writer.transport.abort()
        while not member.cancelled:
            await asyncio.sleep(0.001)
        assert member.waiting == 1

    talking(member, act)


def test_the_body_of_a_client_that_expects_an_interim_answer_is_read() -> None:
    async def act(streams: Streams) -> None:
        reader, writer = streams
        whole = request("/v3/kv/put", PUT, headers="Expect: 100-continue\r\n")
        cut = whole.index(b"\r\n\r\n") + 4
        for _ in range(2):
            writer.write(whole[:cut])
            assert await head(reader) == [b"http/1.1 100 continue"]
            writer.write(whole[cut:])
            assert (await answer(reader))[0] == 200

    talking(LoneMember(), act)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_client_that_offers_another_protocol_is_answered_with_http_1(framing: str) -> None:
    async def act(streams: Streams) -> None:
        reader, writer = streams
        upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\n"
        sent = request("/v3/kv/put", PUT, headers=upgrade)
        if framing == "chunked":
            before, _, _ = sent.partition(b"Content-Length")
            sent = before + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (
                len(PUT),
                PUT,
            )
        writer.write(sent + request("/version", b"", method="GET", headers=upgrade) + sent[:7])
        writer.write(sent[7:])
        assert revision((await answer(reader))[1]) == 2
        assert b"etcdserver" in (await answer(reader))[1]
        assert revision((await answer(reader))[1]) == 3

    talking(LoneMember(), act)


@pytest.mark.parametrize(
    ("version", "headers", "stays"),
    [
        ("1.1", "", True),
        ("1.1", "Connection: close\r\n", False),
        ("1.0", "", False),
        ("1.0", "Connection: keep-alive\r\n", True),
    ],
)
def test_a_connection_stays_open_if_the_client_wants_it(
    version: str, headers: str, stays: bool
) -> None:
    async def act(streams: Streams) -> None:
        reader, writer = streams
        sent = request("/version", b"", method="GET", headers=headers)
        writer.write(sent.replace(b"HTTP/1.1", f"HTTP/{version}".encode()))
        lines = await head(reader)
        assert b"content-type: application/json" in lines
        assert any(line.startswith(b"date: ") for line in lines)
        assert (b"connection: close" in lines) is not stays
        assert (b"connection: keep-alive" in lines) is (stays and version == "1.0")
        await reader.readuntil(b"}")
        if stays:
            writer.write(request("/version", b"", method="GET"))
            assert (await answer(reader))[0] == 200
        else:
            assert await reader.read() == b""

    talking(LoneMember(), act)


def test_a_stream_to_a_client_of_http_1_0_has_no_chunks_and_ends_with_the_connection() -> None:
    member = LoneMember()

    async def act(streams: Streams) -> None:
        reader, writer = streams
        sent = request("/v3/watch", WATCH).replace(b"HTTP/1.1", b"HTTP/1.0")
        writer.write(sent)
        lines = await head(reader)
        assert b"connection: close" in lines
        assert not any(line.startswith(b"transfer-encoding") for line in lines)
        assert (await reader.readline()).endswith(b'"created":true}}\n')

    talking(member, act)


def test_the_answer_to_head_has_no_body() -> None:
    async def act(streams: Streams) -> None:
        reader, writer = streams
        writer.write(request("/version", b"", method="HEAD"))
        writer.write(request("/version", b"", method="GET"))
        assert b"content-length: 19" in await head(reader)
        assert (await answer(reader))[0] == 200

    talking(LoneMember(), act)


def test_answers_before_a_malformed_request_are_sent_first() -> None:
    member, log = SlowMember(), Lines()

    async def act(streams: Streams) -> None:
        reader, writer = streams
        writer.write(request("/v3/kv/put", PUT) * 2 + b"no request\r\n\r\n")
        while not member.waiting:
            await asyncio.sleep(0.001)
        member.applied.set()
        assert [(await answer(reader))[0] for _ in range(3)] == [200, 200, 400]
        assert await reader.read() == b""

    talking(member, act, log)
    assert [message for _, message, _ in log.lines] == [http_message.MALFORMED]


def test_a_stream_whose_body_becomes_malformed_is_ended() -> None:
    member, log = LoneMember(), Lines()

    async def act(streams: Streams) -> None:
        reader, writer = streams
        writer.write(b"POST /v3/watch HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"%x\r\n%b\r\n" % (len(WATCH), WATCH))
        await reader.readuntil(b'"created":true}}')
        writer.write(b"no chunk\r\n")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readuntil(b"never")
        while len(member.store.watches):
            await asyncio.sleep(0.001)

    talking(member, act, log)
    assert len(log.lines) == 1


def test_headers_without_end_are_refused() -> None:
    log = Lines()

    async def act(streams: Streams) -> None:
        reader, writer = streams
        writer.write(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000)
        assert (await answer(reader))[0] == 400

    talking(LoneMember(), act, log)
    assert "headers have more than" in str(log.lines[0][2]["why"])


def test_a_body_that_is_too_large_is_not_kept_and_the_connection_can_be_used_again() -> None:
    member = LoneMember()
    member.request_bytes_max = 1000

    async def act(streams: Streams) -> None:
        reader, writer = streams
        writer.write(request("/v3/kv/put", b"x" * 9_000_000) + request("/v3/kv/put", PUT))
        assert (await answer(reader))[0] == 429
        assert revision((await answer(reader))[1]) == 2

    talking(member, act)


def test_a_stream_that_reads_no_requests_makes_its_client_wait() -> None:
    reading: list[bool] = []
    body = http_message.Body(10**9, lambda: reading.append(False), lambda: reading.append(True))

    async def act() -> None:
        body.add(b"x")
        assert await body.next_pieces() == b"x"
        for _ in range(10):
            body.add(bytes(http_message.UNREAD_BYTES_MAX // 4))
        assert reading == [False]
        assert len(await body.next_pieces()) == 10 * (http_message.UNREAD_BYTES_MAX // 4)
        assert reading == [False, True]
        body.end()
        assert await body.next_pieces() == b""

    asyncio.run(act())


def test_a_silent_connection_is_closed_but_not_one_that_waits_for_its_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_server, "KEEPALIVE_S", 0.02)
    monkeypatch.setattr(http_server, "CHECK_S", 0.01)
    member = SlowMember()

    async def act(port: int) -> None:
        idle, unused_writer = await unused(port)
        partial, started = await asyncio.open_connection("127.0.0.1", port)
        started.write(b"POST /v3/kv/put HTTP/1.1\r\nHost")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("/v3/kv/put", PUT))
        for closed in (idle, partial):
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await closed.readexactly(1)
        member.applied.set()
        assert (await answer(reader))[0] == 200
        for one in (writer, unused_writer, started):
            one.close()

    serving(Api(member), act)


def test_a_server_that_ends_answers_the_requests_in_progress() -> None:
    member = SlowMember()

    async def run() -> None:
        port = free_port()
        listening = await serve(f"http://127.0.0.1:{port}", Api(member), Lines())
        idle, unused_writer = await unused(port)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("/v3/kv/put", PUT) * 2)
        while not member.waiting:
            await asyncio.sleep(0.001)
        closing = asyncio.create_task(listening.close())
        assert await idle.read() == b""
        member.applied.set()
        assert (await answer(reader))[0] == 200
        assert await reader.read() == b""
        await closing
        for one in (writer, unused_writer):
            one.close()

    asyncio.run(asyncio.wait_for(run(), 10))
    assert member.waiting == 1


def test_a_server_that_ends_cancels_requests_after_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_server, "CLOSE_S", 0.01)
    member = SlowMember()

    async def run() -> None:
        port = free_port()
        listening = await serve(f"http://127.0.0.1:{port}", Api(member), Lines())
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("/v3/kv/put", PUT))
        while not member.waiting:
            await asyncio.sleep(0.001)
        await listening.close()
        while not member.cancelled:
            await asyncio.sleep(0.001)
        writer.close()

    asyncio.run(asyncio.wait_for(run(), 10))


def test_a_request_that_fails_inside_the_member_is_answered_and_logged() -> None:
    log = Lines()

    class Broken(LoneMember):
        async def propose(self, operation: ClientWrite) -> OperationResponse:
            raise ZeroDivisionError("no")

    async def act(streams: Streams) -> None:
        reader, writer = streams
        writer.write(request("/v3/kv/put", PUT) + request("/version", b"", method="GET"))
        assert [(await answer(reader))[0] for _ in range(2)] == [500, 200]

    talking(Broken(), act, log)
    ((level, _, fields),) = log.lines
    assert level == "error"
    assert "ZeroDivisionError: no" in str(fields["traceback"])


def test_a_redirection_cannot_contain_a_line_end() -> None:
    async def act(streams: Streams) -> None:
        reader, writer = streams
        writer.write(request("/v3//a%0d%0aX:%20y", b"", method="GET"))
        lines = await head(reader)
        assert b" 301 " in lines[0]
        assert b"location: /v3/a%0d%0ax%3a%20y" in lines

    talking(LoneMember(), act)
