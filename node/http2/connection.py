"""One HTTP/2 connection as a state machine, for either side.

`receive` takes the bytes that arrived and returns what they mean. The methods whose names begin
with `send` or `open` add bytes to the output, which `take_output` returns. Data that the peer's
flow-control windows do not admit waits in its stream, with the trailers after it.

This side consumes data in two steps. The connection's window is restored at once, because one slow
stream must not stop the others. A stream's window is restored by `consumed`.

Source: RFC 9113.
"""

from __future__ import annotations

from collections import deque
from typing import NoReturn

from splitbrain.node.http2 import frames, hpack
from splitbrain.node.http2.events import (
    DataReceived,
    Event,
    GoAway,
    HeadersReceived,
    StreamReset,
    WindowOpened,
)
from splitbrain.node.http2.frames import ErrorCode, Flag, Setting, Type

CONNECTION_WINDOW_BYTES = 16 * 1024**2
STREAM_WINDOW_BYTES = 1024**2
BLOCK_BYTES_MAX = 64 * 1024
"""Maximal size of a block of header fields before decoding."""
STREAMS_MAX = 10_000
"""Maximal number of streams that a client may have open at a time."""


class ConnectionFailed(Exception):
    """The peer broke the protocol. The output ends with a GOAWAY; the connection must be closed."""

    def __init__(self, code: ErrorCode, why: str) -> None:
        super().__init__(f"{code.name}: {why}")
        self.code = code


class _Stream:
    """An open stream. `waiting` contains data that the windows do not admit yet."""

    __slots__ = (
        "end_waits", "receive_window", "remote_ended", "send_window", "trailers", "unrestored",
        "waiting", "waiting_bytes",
    )  # fmt: skip

    def __init__(self, send_window: int, receive_window: int) -> None:
        self.send_window = send_window
        self.receive_window = receive_window
        self.unrestored = 0
        self.waiting: deque[memoryview] = deque()
        self.waiting_bytes = 0
        self.trailers: bytes | None = None
        self.end_waits = False
        self.remote_ended = False


class Connection:
    """The state of one connection. `client` is True on the client's side.

    The peer may send `stream_window_bytes` of a stream before this side has used them.
    """

    def __init__(
        self, *, client: bool, stream_window_bytes: int = STREAM_WINDOW_BYTES
    ) -> None:
        self._client = client
        self._stream_window = stream_window_bytes
        self._output: list[bytes] = []
        self._unparsed = b""
        self._preface_left = b"" if client else frames.PREFACE
        self._decoder = hpack.Decoder()
        self._streams: dict[int, _Stream] = {}
        self._last_remote = 0
        self._next_local = 1 if client else 2
        self._peer_window_initial = frames.WINDOW_BYTES_DEFAULT
        self._send_window = frames.WINDOW_BYTES_DEFAULT
        self._receive_window = CONNECTION_WINDOW_BYTES
        self._blocked: dict[int, None] = {}
        """The streams with waiting data, the one that waits longest first."""
        self._block: tuple[int, bool, bytearray] | None = None
        """The block of header fields that CONTINUATION frames continue."""
        self._settings_received = False
        self.peer_streams_max = STREAMS_MAX
        self._start()

    def _start(self) -> None:
        if self._client:
            self._output.append(frames.PREFACE)
        own = {Setting.INITIAL_WINDOW_SIZE: self._stream_window}
        if self._client:
            own[Setting.ENABLE_PUSH] = 0
        else:
            own[Setting.MAX_CONCURRENT_STREAMS] = STREAMS_MAX
            own[Setting.MAX_HEADER_LIST_SIZE] = hpack.HEADERS_BYTES_MAX
        self._output.append(frames.settings(own))
        self._output.append(
            frames.window_update(0, CONNECTION_WINDOW_BYTES - frames.WINDOW_BYTES_DEFAULT)
        )

    # --- sending --------------------------------------------------------------------

    def take_output(self) -> bytes:
        """Return the bytes to send to the peer."""
        output = b"".join(self._output)
        self._output.clear()
        return output

    def open_stream(self, block: bytes) -> int:
        """Open a stream of a client with a block of header fields. Returns its number."""
        number = self._next_local
        self._next_local += 2
        self._streams[number] = _Stream(self._peer_window_initial, self._stream_window)
        self._output.append(frames.headers(number, block, end=False))
        return number

    @property
    def streams_left(self) -> bool:
        """Whether there is an unused number for another stream."""
        return self._next_local <= frames.STREAM_ID_MAX

    @property
    def open_streams(self) -> int:
        return len(self._streams)

    def is_open(self, number: int) -> bool:
        return number in self._streams

    def waiting_bytes(self, number: int) -> int:
        """Return the size of the data that waits in a stream."""
        stream = self._streams.get(number)
        return 0 if stream is None else stream.waiting_bytes

    def send_headers(self, number: int, block: bytes) -> None:
        if number in self._streams:
            self._output.append(frames.headers(number, block, end=False))

    def send_data(self, number: int, data: bytes, *, end: bool = False) -> None:
        """Send data, or queue it. Without an open stream, nothing happens."""
        stream = self._streams.get(number)
        if stream is None:
            return
        if (
            not stream.waiting
            and len(data) <= frames.FRAME_BYTES_MAX
            and len(data) <= stream.send_window
            and len(data) <= self._send_window
        ):
            stream.send_window -= len(data)
            self._send_window -= len(data)
            flags = Flag.END_STREAM if end else 0
            self._output.append(frames.frame(Type.DATA, flags, number, data))
            return
        stream.waiting.append(memoryview(data))
        stream.waiting_bytes += len(data)
        stream.end_waits = end
        self._blocked[number] = None
        self._drain(number, stream)

    def send_trailers(self, number: int, block: bytes) -> None:
        """Send the last header fields of a server's stream, after its data. This ends the stream.

        If the client has not ended its side, a RST_STREAM tells it to send nothing more.
        """
        stream = self._streams.get(number)
        if stream is None:
            return
        if stream.waiting:
            stream.trailers = block
        else:
            self._finish(number, stream, block)

    def _finish(self, number: int, stream: _Stream, trailers: bytes) -> None:
        self._output.append(frames.headers(number, trailers, end=True))
        if not stream.remote_ended:
            self._output.append(frames.reset(number, ErrorCode.NO_ERROR))
        self._forget(number)

    def send_reset(self, number: int, code: ErrorCode = ErrorCode.CANCEL) -> None:
        if number in self._streams:
            self._output.append(frames.reset(number, code))
            self._forget(number)

    def send_ping(self, content: bytes = bytes(8)) -> None:
        self._output.append(frames.frame(Type.PING, 0, 0, content))

    def send_go_away(self, code: ErrorCode = ErrorCode.NO_ERROR, why: str = "") -> None:
        self._output.append(frames.go_away(self._last_remote, code, why))

    def consumed(self, number: int, size: int) -> None:
        """Restore the window of a stream by `size` bytes that were received and used."""
        stream = self._streams.get(number)
        if stream is None or stream.remote_ended:
            return
        stream.unrestored += size
        if stream.unrestored >= self._stream_window // 2:
            self._output.append(frames.window_update(number, stream.unrestored))
            stream.receive_window += stream.unrestored
            stream.unrestored = 0

    def _drain(self, number: int, stream: _Stream) -> bool:
        """Send waiting data as far as the windows admit it. Returns whether any was sent."""
        sent = False
        while stream.waiting:
            data = stream.waiting[0]
            size = min(
                len(data), stream.send_window, self._send_window, frames.FRAME_BYTES_MAX
            )
            if size <= 0 and len(data):
                return sent
            size = max(size, 0)
            rest = data[size:]
            if len(rest):
                stream.waiting[0] = rest
            else:
                stream.waiting.popleft()
            stream.waiting_bytes -= size
            stream.send_window -= size
            self._send_window -= size
            last = not stream.waiting and stream.end_waits
            flags = Flag.END_STREAM if last else 0
            self._output.append(frames.frame(Type.DATA, flags, number, data[:size]))
            sent = True
        self._blocked.pop(number, None)
        if stream.trailers is not None:
            self._finish(number, stream, stream.trailers)
        return sent

    def _forget(self, number: int) -> None:
        self._streams.pop(number, None)
        self._blocked.pop(number, None)

    # --- receiving ------------------------------------------------------------------

    def receive(self, data: bytes) -> list[Event]:
        """Return the events in the bytes that arrived. Raises ConnectionFailed."""
        events: list[Event] = []
        if self._preface_left:
            data = self._after_preface(data)
        if self._unparsed:
            data = self._unparsed + data
        at, size = 0, len(data)
        while size - at >= frames.HEADER_BYTES:
            high, low, kind, flags, number = frames.HEADER.unpack_from(data, at)
            end = at + frames.HEADER_BYTES + (high << 8) + low
            if end - at > frames.HEADER_BYTES + frames.FRAME_BYTES_MAX:
                self._fail(ErrorCode.FRAME_SIZE_ERROR, "a frame is too large")
            if end > size:
                break
            payload = data[at + frames.HEADER_BYTES : end]
            at = end
            self._frame(kind, flags, number & frames.STREAM_ID_MAX, payload, events)
        self._unparsed = data[at:]
        return events

    def _after_preface(self, data: bytes) -> bytes:
        expected, self._preface_left = self._preface_left, self._preface_left[len(data) :]
        if data[: len(expected)] != expected[: len(data)]:
            self._fail(ErrorCode.PROTOCOL_ERROR, "the connection does not begin with the preface")
        return data[len(expected) :]

    def _fail(self, code: ErrorCode, why: str) -> NoReturn:
        self.send_go_away(code, why)
        raise ConnectionFailed(code, why)

    def _frame(
        self, kind: int, flags: int, number: int, payload: bytes, events: list[Event]
    ) -> None:
        if self._block is not None:
            self._continue_block(kind, flags, number, payload, events)
            return
        if not self._settings_received and kind != Type.SETTINGS:
            self._fail(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        match kind:
            case Type.DATA:
                self._data(flags, number, payload, events)
            case Type.HEADERS:
                self._headers(flags, number, payload, events)
            case Type.WINDOW_UPDATE:
                self._window_update(number, payload, events)
            case Type.PING:
                self._ping(flags, number, payload)
            case Type.SETTINGS:
                self._settings(flags, number, payload, events)
            case Type.RST_STREAM:
                self._reset(number, payload, events)
            case Type.GOAWAY:
                self._go_away(number, payload, events)
            case Type.PRIORITY:
                self._check_size(payload, 5)
            case Type.PUSH_PROMISE | Type.CONTINUATION:
                self._fail(ErrorCode.PROTOCOL_ERROR, f"an unexpected {Type(kind).name} frame")
            # Frames of unknown types are ignored.

    def _check_size(self, payload: bytes, size: int) -> None:
        if len(payload) != size:
            self._fail(ErrorCode.FRAME_SIZE_ERROR, f"{len(payload)} bytes; expected {size}")

    def _check_not_idle(self, number: int) -> None:
        local = number % 2 == (1 if self._client else 0)
        if not number:
            self._fail(ErrorCode.PROTOCOL_ERROR, "a frame of a stream on the connection itself")
        if number >= self._next_local if local else number > self._last_remote:
            self._fail(ErrorCode.PROTOCOL_ERROR, f"a frame of the idle stream {number}")

    def _unpadded(self, flags: int, payload: bytes) -> bytes:
        if not flags & Flag.PADDED:
            return payload
        if not payload or payload[0] >= len(payload):
            self._fail(ErrorCode.PROTOCOL_ERROR, "more padding than payload")
        return payload[1 : len(payload) - payload[0]]

    def _data(self, flags: int, number: int, payload: bytes, events: list[Event]) -> None:
        flow_bytes = len(payload)
        data = self._unpadded(flags, payload)
        self._receive_window -= flow_bytes
        if self._receive_window < 0:
            self._fail(ErrorCode.FLOW_CONTROL_ERROR, "more data than the connection's window")
        if self._receive_window < CONNECTION_WINDOW_BYTES // 2:
            increment = CONNECTION_WINDOW_BYTES - self._receive_window
            self._output.append(frames.window_update(0, increment))
            self._receive_window = CONNECTION_WINDOW_BYTES
        stream = self._streams.get(number)
        if stream is None:
            self._check_not_idle(number)
            return  # the peer had sent it before it learnt that the stream is closed
        if stream.remote_ended:
            self._fail(ErrorCode.STREAM_CLOSED, f"data after the end of stream {number}")
        stream.receive_window -= flow_bytes
        if stream.receive_window < 0:
            self._fail(ErrorCode.FLOW_CONTROL_ERROR, "more data than the stream's window")
        end = bool(flags & Flag.END_STREAM)
        events.append(DataReceived(number, data, flow_bytes, end))
        if end:
            self._remote_end(number, stream)

    def _remote_end(self, number: int, stream: _Stream) -> None:
        stream.remote_ended = True
        if self._client:
            self._forget(number)

    def _headers(self, flags: int, number: int, payload: bytes, events: list[Event]) -> None:
        block = self._unpadded(flags, payload)
        if flags & Flag.PRIORITY:
            block = block[5:]
        end = bool(flags & Flag.END_STREAM)
        if flags & Flag.END_HEADERS:
            self._block_received(number, end, block, events)
        else:
            self._block = (number, end, bytearray(block))

    def _continue_block(
        self, kind: int, flags: int, number: int, payload: bytes, events: list[Event]
    ) -> None:
        assert self._block is not None
        expected, end, block = self._block
        if kind != Type.CONTINUATION or number != expected:
            self._fail(ErrorCode.PROTOCOL_ERROR, "a block of header fields is interrupted")
        block += payload
        if len(block) > BLOCK_BYTES_MAX:
            self._fail(ErrorCode.ENHANCE_YOUR_CALM, "too many header fields")
        if flags & Flag.END_HEADERS:
            self._block = None
            self._block_received(number, end, bytes(block), events)

    def _block_received(self, number: int, end: bool, block: bytes, events: list[Event]) -> None:
        try:
            # Every block is decoded, because it can change the table.
            headers = self._decoder.decode(block)
        except hpack.HpackError as problem:
            self._fail(ErrorCode.COMPRESSION_ERROR, str(problem))
        stream = self._streams.get(number)
        if stream is None:
            if self._client or number <= self._last_remote or not number:
                self._check_not_idle(number)
                return
            if number % 2 == 0:
                self._fail(ErrorCode.PROTOCOL_ERROR, f"a client opens the stream {number}")
            self._last_remote = number
            if len(self._streams) >= STREAMS_MAX:
                self._output.append(frames.reset(number, ErrorCode.REFUSED_STREAM))
                return
            stream = _Stream(self._peer_window_initial, self._stream_window)
            self._streams[number] = stream
        elif stream.remote_ended:
            self._fail(ErrorCode.STREAM_CLOSED, f"headers after the end of stream {number}")
        events.append(HeadersReceived(number, headers, end))
        if end:
            self._remote_end(number, stream)

    def _reset(self, number: int, payload: bytes, events: list[Event]) -> None:
        self._check_size(payload, 4)
        self._check_not_idle(number)
        if number in self._streams:
            self._forget(number)
            events.append(StreamReset(number, frames.NUMBER.unpack(payload)[0]))

    def _ping(self, flags: int, number: int, payload: bytes) -> None:
        self._check_size(payload, 8)
        if number:
            self._fail(ErrorCode.PROTOCOL_ERROR, "a ping on a stream")
        if not flags & Flag.ACK:
            self._output.append(frames.frame(Type.PING, Flag.ACK, 0, payload))

    def _go_away(self, number: int, payload: bytes, events: list[Event]) -> None:
        if number or len(payload) < 8:
            self._fail(ErrorCode.PROTOCOL_ERROR, "a malformed GOAWAY")
        last, code = frames.TWO_NUMBERS.unpack_from(payload)
        why = payload[8:].decode("utf-8", "replace")
        events.append(GoAway(last & frames.STREAM_ID_MAX, code, why))

    def _settings(self, flags: int, number: int, payload: bytes, events: list[Event]) -> None:
        if number:
            self._fail(ErrorCode.PROTOCOL_ERROR, "settings of a stream")
        if len(payload) % frames.SETTING.size or (flags & Flag.ACK and payload):
            self._fail(ErrorCode.FRAME_SIZE_ERROR, f"settings of {len(payload)} bytes")
        if flags & Flag.ACK:
            return
        self._settings_received = True
        for name, value in frames.SETTING.iter_unpack(payload):
            if name == Setting.INITIAL_WINDOW_SIZE:
                self._change_initial_window(value, events)
            elif name == Setting.MAX_CONCURRENT_STREAMS:
                self.peer_streams_max = value
            elif name == Setting.MAX_FRAME_SIZE and not 2**14 <= value < 2**24:
                self._fail(ErrorCode.PROTOCOL_ERROR, f"a maximal frame of {value} bytes")
            elif name == Setting.ENABLE_PUSH and value > 1:
                self._fail(ErrorCode.PROTOCOL_ERROR, f"ENABLE_PUSH is {value}")
        self._output.append(frames.frame(Type.SETTINGS, Flag.ACK, 0))

    def _change_initial_window(self, value: int, events: list[Event]) -> None:
        if value > frames.WINDOW_BYTES_MAX:
            self._fail(ErrorCode.FLOW_CONTROL_ERROR, f"an initial window of {value} bytes")
        change = value - self._peer_window_initial
        self._peer_window_initial = value
        for stream in self._streams.values():
            stream.send_window += change
            if stream.send_window > frames.WINDOW_BYTES_MAX:
                self._fail(ErrorCode.FLOW_CONTROL_ERROR, "a window is too large")
        self._drain_blocked(events)

    def _window_update(self, number: int, payload: bytes, events: list[Event]) -> None:
        self._check_size(payload, 4)
        increment = frames.NUMBER.unpack(payload)[0] & frames.WINDOW_BYTES_MAX
        if not number:
            self._send_window += increment
            if not increment or self._send_window > frames.WINDOW_BYTES_MAX:
                self._fail(ErrorCode.FLOW_CONTROL_ERROR, "a wrong increment of the window")
            self._drain_blocked(events)
            return
        stream = self._streams.get(number)
        if stream is None:
            self._check_not_idle(number)
            return
        stream.send_window += increment
        if not increment or stream.send_window > frames.WINDOW_BYTES_MAX:
            self._fail(ErrorCode.FLOW_CONTROL_ERROR, "a wrong increment of a stream's window")
        if stream.waiting and self._drain(number, stream):
            events.append(WindowOpened(number))

    def _drain_blocked(self, events: list[Event]) -> None:
        for number in list(self._blocked):
            if self._drain(number, self._streams[number]):
                events.append(WindowOpened(number))
