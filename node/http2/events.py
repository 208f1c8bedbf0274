"""What the bytes from a peer mean to the user of a connection."""

from __future__ import annotations

from msgspec import Struct

from splitbrain.node.http2.hpack import Headers


class HeadersReceived(Struct, frozen=True, gc=False):
    stream: int
    headers: Headers
    end: bool


class DataReceived(Struct, frozen=True, gc=False):
    """Data of a stream. `flow_bytes` is what it took from the window, padding included."""

    stream: int
    data: bytes
    flow_bytes: int
    end: bool


class StreamReset(Struct, frozen=True, gc=False):
    stream: int
    code: int


class WindowOpened(Struct, frozen=True, gc=False):
    """Data that had waited in a stream was sent."""

    stream: int


class GoAway(Struct, frozen=True, gc=False):
    last_stream: int
    code: int
    why: str


Event = HeadersReceived | DataReceived | StreamReset | WindowOpened | GoAway
