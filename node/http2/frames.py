"""The frames of HTTP/2: their numbers, and how they are written.

Source: RFC 9113, sections 4, 6 and 7.
"""

from __future__ import annotations

import struct
from enum import IntEnum

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""The first bytes of a client."""

HEADER = struct.Struct(">HBBBL")
"""The length of the payload in two parts of 16 and 8 bits, the type, the flags, and the stream."""
HEADER_BYTES = HEADER.size
SETTING = struct.Struct(">HL")
NUMBER = struct.Struct(">L")
TWO_NUMBERS = struct.Struct(">LL")

FRAME_BYTES_MAX = 16_384
"""The largest payload that a peer must accept, and the largest that this side accepts."""
WINDOW_BYTES_DEFAULT = 65_535
WINDOW_BYTES_MAX = 2**31 - 1
STREAM_ID_MAX = 2**31 - 1


class Type(IntEnum):
    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Flag:
    ACK = 0x1
    END_STREAM = 0x1
    END_HEADERS = 0x4
    PADDED = 0x8
    PRIORITY = 0x20


class Setting(IntEnum):
    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


class ErrorCode(IntEnum):
    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11


def frame(kind: int, flags: int, stream: int, payload: bytes | memoryview = b"") -> bytes:
    length = len(payload)
    return HEADER.pack(length >> 8, length & 0xFF, kind, flags, stream) + payload


def settings(values: dict[Setting, int]) -> bytes:
    payload = b"".join(SETTING.pack(name, value) for name, value in values.items())
    return frame(Type.SETTINGS, 0, 0, payload)


def headers(stream: int, block: bytes, *, end: bool) -> bytes:
    """Return a HEADERS frame, with CONTINUATION frames if the block is long."""
    first, rest = block[:FRAME_BYTES_MAX], block[FRAME_BYTES_MAX:]
    flags = (Flag.END_STREAM if end else 0) | (0 if rest else Flag.END_HEADERS)
    frames = [frame(Type.HEADERS, flags, stream, first)]
    while rest:
        part, rest = rest[:FRAME_BYTES_MAX], rest[FRAME_BYTES_MAX:]
        flags = 0 if rest else Flag.END_HEADERS
        frames.append(frame(Type.CONTINUATION, flags, stream, part))
    return b"".join(frames)


def window_update(stream: int, increment: int) -> bytes:
    return frame(Type.WINDOW_UPDATE, 0, stream, NUMBER.pack(increment))


def reset(stream: int, code: ErrorCode) -> bytes:
    return frame(Type.RST_STREAM, 0, stream, NUMBER.pack(code))


def go_away(last_stream: int, code: ErrorCode, why: str = "") -> bytes:
    payload = NUMBER.pack(last_stream) + NUMBER.pack(code) + why.encode()[:256]
    return frame(Type.GOAWAY, 0, 0, payload)
