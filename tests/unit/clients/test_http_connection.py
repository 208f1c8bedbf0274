"""The HTTP connection of the client that generates the load, against servers that misbehave."""

import asyncio
import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.harness.clients.http_connection import (
    ConnectionLost,
    HttpConnection,
    NotConnected,
    connect,
)


def plain(body: bytes, extra: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (extra, len(body), body)


def chunked(parts: list[bytes], extra: bytes = b"") -> bytes:
    chunks = b"".join(b"%x;name=x\r\n%b\r\n" % (len(part), part) for part in parts if part)
    return b"HTTP/1.1 200 OK\r\n%bTransfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n" % (extra, chunks)


class Transport(asyncio.Transport):
    aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def abort(self) -> None:
        self.aborted = True


async def fed(
    pieces: Sequence[bytes], lost: bool = False
) -> tuple[tuple[int, bytes], HttpConnection]:
    """The result of `ask` when the connection receives `pieces`, and the connection."""
    connection = HttpConnection()
    connection.connection_made(Transport())
    asking = asyncio.ensure_future(connection.ask(b"POST", 5))
    await asyncio.sleep(0)
    for piece in pieces:
        connection.data_received(piece)
    if lost:
        connection.connection_lost(None)
    return await asking, connection


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(places) if a < b]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.binary(max_size=40), max_size=5),
    st.lists(st.integers(0, 10_000), max_size=6),
    st.booleans(),
)
def test_an_answer_is_complete_for_any_division_into_pieces(
    parts: list[bytes], cuts: list[int], in_chunks: bool
) -> None:
    body = b"".join(parts)
    wire = chunked(parts) if in_chunks else plain(body)
    (status, answer), connection = asyncio.run(fed(pieces_of(wire, cuts)))
    assert (status, answer) == (200, body)
    assert connection.usable


@pytest.mark.parametrize(
    ("wire", "lost", "body"),
    [
        (plain(b"x", b"connection: Close\r\n"), False, b"x"),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx", False, b"x"),
        (b"HTTP/1.1 200 OK\r\n\r\nup to the end", True, b"up to the end"),
    ],
)
def test_a_connection_is_not_used_again_if_the_member_will_close_it(
    wire: bytes, lost: bool, body: bytes
) -> None:
    (_, answer), connection = asyncio.run(fed([wire], lost))
    assert answer == body
    assert not connection.usable


@pytest.mark.parametrize(
    "wire",
    [
        b"SSH-2.0\r\n\r\n",
        b"HTTP/1.1 what\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc\r\n",
        b"x" * 100_000,
    ],
)
def test_bytes_that_are_not_an_http_answer_break_the_connection(wire: bytes) -> None:
    with pytest.raises(ConnectionLost, match="not an HTTP answer"):
        asyncio.run(fed([wire]))


@pytest.mark.parametrize(
    "wire", [b"", b"HTTP/1.1 200 OK\r\n", plain(b"whole")[:-2], chunked([b"whole"])[:-2]]
)
def test_a_truncated_answer_is_not_an_answer(wire: bytes) -> None:
    with pytest.raises(ConnectionLost, match="closed by the member"):
        asyncio.run(fed([wire] if wire else [], lost=True))


def test_bytes_that_arrive_without_a_request_never_answer_the_next_request() -> None:
    async def go() -> None:
        connection = HttpConnection()
        connection.connection_made(Transport())
        connection.data_received(plain(b"late"))
        assert not connection.usable
        with pytest.raises(NotConnected):
            await connection.ask(b"POST", 1)

    asyncio.run(go())


def test_two_answers_to_one_request_break_the_connection() -> None:
    (_, answer), connection = asyncio.run(fed([plain(b"one") + plain(b"two")]))
    assert answer == b"one"
    assert not connection.usable


def test_a_late_answer_is_a_timeout_and_closes_the_connection() -> None:
    async def go() -> None:
        connection = HttpConnection()
        transport = Transport()
        connection.connection_made(transport)
        with pytest.raises(TimeoutError):
            await connection.ask(b"POST", 0.01)
        assert transport.aborted
        assert not connection.usable

    asyncio.run(go())


def test_without_a_listener_nothing_was_sent() -> None:
    async def go() -> None:
        server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        with pytest.raises(NotConnected, match="refused"):
            await connect("127.0.0.1", port, 1)

    asyncio.run(go())
