"""gRPC on HTTP/2: messages in data, and statuses in trailers.

Source: gRPC's document "gRPC over HTTP2" (PROTOCOL-HTTP2).
"""

from __future__ import annotations

import re
import struct
from urllib.parse import unquote_to_bytes

from splitbrain.node.http2 import hpack
from splitbrain.node.messages.errors import Code, RpcError

PREFIX = struct.Struct(">BL")
"""Whether a message is compressed, and its length."""
CONTENT_TYPE = b"application/grpc"

_UNSAFE = re.compile(rb"[^\x20-\x24\x26-\x7e]")
_TIMEOUT = re.compile(rb"(\d{1,8})([HMSmun])\Z")
_UNIT_S = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}

RESPONSE_BLOCK = hpack.encode(((b":status", b"200"), (b"content-type", CONTENT_TYPE)))
OK_TRAILERS = hpack.encode(((b"grpc-status", b"0"),))


def framed(message: bytes) -> bytes:
    return PREFIX.pack(0, len(message)) + message


def status_fields(error: RpcError) -> hpack.Headers:
    """Return the trailers that report an error."""
    message = _UNSAFE.sub(lambda found: b"%%%02X" % found.group()[0], error.message.encode())
    return ((b"grpc-status", b"%d" % int(error.code)), (b"grpc-message", message))


def error_of_status(headers: dict[bytes, bytes]) -> RpcError | None:
    """Return the error that trailers report, or None if the status is OK."""
    try:
        code = Code(int(headers[b"grpc-status"]))
    except (KeyError, ValueError):
        code = Code.UNKNOWN
    if code is Code.OK:
        return None
    message = unquote_to_bytes(headers.get(b"grpc-message", b""))
    return RpcError(code, message.decode("utf-8", "replace"))


def timeout_s(text: bytes) -> float | None:
    """Return the seconds of a `grpc-timeout` such as b"500m". None if it is malformed."""
    found = _TIMEOUT.match(text)
    return None if found is None else int(found[1]) * _UNIT_S[found[2]]


class MessageReader:
    """Splits the data of one stream into messages of at most `bytes_max` bytes."""

    __slots__ = ("_buffer", "_bytes_max")

    def __init__(self, bytes_max: int) -> None:
        self._buffer = bytearray()
        self._bytes_max = bytes_max

    def feed(self, data: bytes) -> list[bytes]:
        """Return the messages that `data` completes.

        Raises RpcError for a message that is too large or compressed.
        """
        if not self._buffer and len(data) >= PREFIX.size:
            compressed, length = PREFIX.unpack_from(data)
            if length == len(data) - PREFIX.size and length <= self._bytes_max and not compressed:
                return [data[PREFIX.size :]]
        buffer = self._buffer
        buffer += data
        found: list[bytes] = []
        at = 0
        while len(buffer) - at >= PREFIX.size:
            compressed, length = PREFIX.unpack_from(buffer, at)
            if length > self._bytes_max:
                raise RpcError(
                    Code.RESOURCE_EXHAUSTED,
                    f"grpc: received message larger than max ({length} vs. {self._bytes_max})",
                )
            if compressed:
                raise RpcError(
                    Code.UNIMPLEMENTED, "grpc: compressed messages are not supported"
                )
            end = at + PREFIX.size + length
            if len(buffer) < end:
                break
            found.append(bytes(buffer[at + PREFIX.size : end]))
            at = end
        del buffer[:at]
        return found

    @property
    def incomplete(self) -> bool:
        """Whether the data ended within a message."""
        return bool(self._buffer)
