from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.node.http2 import frames, hpack
from splitbrain.node.http2.connection import (
    CONNECTION_WINDOW_BYTES,
    STREAM_WINDOW_BYTES,
    Connection,
    ConnectionFailed,
)
from splitbrain.node.http2.events import (
    DataReceived,
    Event,
    GoAway,
    HeadersReceived,
    StreamReset,
    WindowOpened,
)
from splitbrain.node.http2.frames import ErrorCode, Flag, Setting, Type

REQUEST = hpack.encode(((b":method", b"POST"), (b":path", b"/a")))
TRAILERS = hpack.encode(((b"grpc-status", b"0"),))


def opened() -> tuple[Connection, Connection]:
    """A client and a server that have exchanged their settings."""
    client, server = Connection(client=True), Connection(client=False)
    exchange(client, server)
    return client, server


def exchange(client: Connection, server: Connection) -> list[Event]:
    """Carry bytes between the two until both are silent. Returns the events of both."""
    events: list[Event] = []
    while True:
        there, back = client.take_output(), server.take_output()
        if not there and not back:
            return events
        events += server.receive(there)
        events += client.receive(back)


def test_a_request_and_its_answer_pass() -> None:
    client, server = opened()
    number = client.open_stream(REQUEST)
    client.send_data(number, b"ask", end=True)
    assert exchange(client, server) == [
        HeadersReceived(1, ((b":method", b"POST"), (b":path", b"/a")), end=False),
        DataReceived(1, b"ask", 3, end=True),
    ]
    server.send_headers(1, hpack.encode(((b":status", b"200"),)))
    server.send_data(1, b"answer")
    server.send_trailers(1, TRAILERS)
    assert exchange(client, server) == [
        HeadersReceived(1, ((b":status", b"200"),), end=False),
        DataReceived(1, b"answer", 6, end=False),
        HeadersReceived(1, ((b"grpc-status", b"0"),), end=True),
    ]
    assert client.open_streams == server.open_streams == 0
    assert client.open_stream(REQUEST) == 3


@given(st.lists(st.integers(1, 400)), st.integers(0, 100_000))
def test_the_pieces_in_which_bytes_arrive_do_not_matter(cuts: list[int], size: int) -> None:
    client, server = Connection(client=True), Connection(client=False)
    number = client.open_stream(REQUEST)
    client.send_data(number, b"x" * min(size, 60_000), end=True)
    output = client.take_output()
    events: list[Event] = []
    for cut in cuts:
        events += server.receive(output[:cut])
        output = output[cut:]
    events += server.receive(output)
    assert isinstance(events[0], HeadersReceived)
    data = [event for event in events if isinstance(event, DataReceived)]
    assert sum(len(one.data) for one in data) == min(size, 60_000)
    assert data[-1].end


def test_data_over_the_window_waits_and_trailers_wait_for_it() -> None:
    client, server = opened()
    client.open_stream(REQUEST)
    exchange(client, server)
    server.send_data(1, b"x" * (STREAM_WINDOW_BYTES + 5))
    server.send_trailers(1, TRAILERS)
    events = exchange(client, server)
    received = sum(len(one.data) for one in events if isinstance(one, DataReceived))
    assert received == STREAM_WINDOW_BYTES
    assert server.waiting_bytes(1) == 5
    client.consumed(1, received)
    events = exchange(client, server)
    assert events[0] == WindowOpened(1)
    assert b"".join(one.data for one in events if isinstance(one, DataReceived)) == b"x" * 5
    assert isinstance(events[2], HeadersReceived)
    assert events[2].end


def test_one_slow_stream_does_not_stop_the_others() -> None:
    client, server = opened()
    slow = client.open_stream(REQUEST)
    exchange(client, server)
    server.send_data(slow, b"x" * (2 * STREAM_WINDOW_BYTES))
    exchange(client, server)
    for _ in range(2 * CONNECTION_WINDOW_BYTES // STREAM_WINDOW_BYTES):
        quick = client.open_stream(REQUEST)
        exchange(client, server)
        server.send_data(quick, b"y" * STREAM_WINDOW_BYTES)
        server.send_trailers(quick, TRAILERS)
        events = exchange(client, server)
        data = [one for one in events if isinstance(one, DataReceived)]
        assert sum(len(one.data) for one in data) == STREAM_WINDOW_BYTES


def test_a_change_of_the_initial_window_lets_waiting_data_pass() -> None:
    server = Connection(client=False)
    small = frames.settings({Setting.INITIAL_WINDOW_SIZE: 3})
    server.receive(frames.PREFACE + small + frames.headers(1, REQUEST, end=True))
    server.take_output()
    server.send_data(1, b"12345", end=True)
    assert server.take_output() == frames.frame(Type.DATA, 0, 1, b"123")
    large = frames.settings({Setting.INITIAL_WINDOW_SIZE: 10})
    assert server.receive(large) == [WindowOpened(1)]
    assert frames.frame(Type.DATA, Flag.END_STREAM, 1, b"45") in server.take_output()


def test_a_reset_ends_a_stream_on_both_sides() -> None:
    client, server = opened()
    number = client.open_stream(REQUEST)
    exchange(client, server)
    client.send_reset(number)
    assert exchange(client, server) == [StreamReset(number, ErrorCode.CANCEL)]
    server.send_data(number, b"late")
    assert server.take_output() == b""
    # Data that was on its way when the stream ended is ignored.
    assert server.receive(frames.frame(Type.DATA, 0, number, b"late")) == []


def test_a_server_ends_a_stream_whose_client_still_sends() -> None:
    client, server = opened()
    number = client.open_stream(REQUEST)
    exchange(client, server)
    server.send_trailers(number, TRAILERS)
    output = server.take_output()
    assert output.endswith(frames.reset(number, ErrorCode.NO_ERROR))
    assert not server.is_open(number)


def test_long_header_fields_use_continuation_frames() -> None:
    client, server = opened()
    fields = ((b"a", b"x" * 40_000),)
    client.open_stream(hpack.encode(fields))
    assert exchange(client, server) == [HeadersReceived(1, fields, end=False)]


def test_pings_are_answered_and_a_go_away_is_reported() -> None:
    client, server = opened()
    client.send_ping(b"12345678")
    server.receive(client.take_output())
    assert server.take_output() == frames.frame(Type.PING, Flag.ACK, 0, b"12345678")
    server.send_go_away(ErrorCode.ENHANCE_YOUR_CALM, "too many pings")
    assert client.receive(server.take_output()) == [
        GoAway(0, ErrorCode.ENHANCE_YOUR_CALM, "too many pings")
    ]


def test_padding_and_priority_are_skipped() -> None:
    _, server = opened()
    block = b"\x02" + bytes(5) + REQUEST + bytes(2)
    flags = Flag.END_HEADERS | Flag.PADDED | Flag.PRIORITY
    padded = frames.frame(Type.HEADERS, flags, 1, block)
    padded += frames.frame(Type.DATA, Flag.PADDED | Flag.END_STREAM, 1, b"\x03ab" + bytes(3))
    headers, data = server.receive(padded)
    assert isinstance(headers, HeadersReceived)
    assert data == DataReceived(1, b"ab", 6, end=True)


PING = frames.frame(Type.PING, 0, 0, bytes(8))
OPEN = frames.headers(1, REQUEST, end=False)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frames.HEADER.pack(65, 0, Type.DATA, 0, 1), ErrorCode.FRAME_SIZE_ERROR),
        (frames.frame(Type.DATA, 0, 1, b"x"), ErrorCode.PROTOCOL_ERROR),
        (frames.frame(Type.DATA, 0, 0, b"x"), ErrorCode.PROTOCOL_ERROR),
        (frames.headers(2, REQUEST, end=True), ErrorCode.PROTOCOL_ERROR),
        (frames.headers(1, b"\xff", end=True), ErrorCode.COMPRESSION_ERROR),
        (frames.frame(Type.HEADERS, 0, 1, REQUEST) + PING, ErrorCode.PROTOCOL_ERROR),
        (frames.frame(Type.CONTINUATION, 4, 1, REQUEST), ErrorCode.PROTOCOL_ERROR),
        (frames.frame(Type.PUSH_PROMISE, 4, 1, bytes(4)), ErrorCode.PROTOCOL_ERROR),
        (frames.frame(Type.PING, 0, 0, b"short"), ErrorCode.FRAME_SIZE_ERROR),
        (frames.frame(Type.PING, 0, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
        (frames.frame(Type.SETTINGS, 0, 0, b"12345"), ErrorCode.FRAME_SIZE_ERROR),
        (frames.frame(Type.SETTINGS, 0, 1), ErrorCode.PROTOCOL_ERROR),
        (frames.settings({Setting.INITIAL_WINDOW_SIZE: 2**31}), ErrorCode.FLOW_CONTROL_ERROR),
        (frames.settings({Setting.MAX_FRAME_SIZE: 1}), ErrorCode.PROTOCOL_ERROR),
        (frames.reset(1, ErrorCode.CANCEL), ErrorCode.PROTOCOL_ERROR),
        (frames.window_update(0, 0), ErrorCode.FLOW_CONTROL_ERROR),
        (frames.window_update(0, 2**31 - 1), ErrorCode.FLOW_CONTROL_ERROR),
        (frames.window_update(1, 1), ErrorCode.PROTOCOL_ERROR),
        (OPEN + frames.window_update(1, 2**31 - 1), ErrorCode.FLOW_CONTROL_ERROR),
        (frames.frame(Type.GOAWAY, 0, 0, b""), ErrorCode.PROTOCOL_ERROR),
        (OPEN + frames.frame(Type.DATA, 8, 1, b"\x05ab"), ErrorCode.PROTOCOL_ERROR),
        (frames.headers(1, REQUEST, end=True) + frames.frame(Type.DATA, 0, 1, b"x"),
         ErrorCode.STREAM_CLOSED),
    ],
)  # fmt: skip
def test_a_peer_that_breaks_the_protocol_is_told_so(data: bytes, code: ErrorCode) -> None:
    _, server = opened()
    with pytest.raises(ConnectionFailed) as failed:
        server.receive(data)
    assert failed.value.code is code
    output = server.take_output()
    assert frames.NUMBER.pack(code) in output
    assert server.open_streams <= 1


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"])
def test_a_client_without_the_preface_is_refused(data: bytes) -> None:
    with pytest.raises(ConnectionFailed, match="preface"):
        Connection(client=False).receive(data)


def test_the_first_frame_must_be_settings() -> None:
    with pytest.raises(ConnectionFailed, match="SETTINGS"):
        Connection(client=False).receive(frames.PREFACE + PING)


def test_more_data_than_the_window_is_a_fault() -> None:
    _, server = opened()
    data = frames.frame(Type.DATA, 0, 1, bytes(frames.FRAME_BYTES_MAX))
    with pytest.raises(ConnectionFailed, match="the stream's window"):
        server.receive(OPEN + data * (STREAM_WINDOW_BYTES // frames.FRAME_BYTES_MAX + 1))


@given(st.binary(max_size=200))
def test_any_bytes_give_events_or_a_fault(data: bytes) -> None:
    _, server = opened()
    with contextlib.suppress(ConnectionFailed):
        server.receive(OPEN + data)
