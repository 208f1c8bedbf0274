"""What raft replicates: a request and the id by which its member waits for the result.

msgpack, each operation tagged with its kind, defaults left out. A member must apply
exactly what the others apply, so what it cannot read whole it refuses.
"""

from __future__ import annotations

import msgspec

from node.api.rpc import WriteRequest


class InternalRequest(msgspec.Struct, frozen=True, array_like=True):
    """`id` is unique among the requests in flight of all members."""

    id: int
    op: WriteRequest


class UnreadableRequest(Exception):
    """A committed entry does not hold a request: corrupt, or of a newer release."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(InternalRequest)


def encode(request: InternalRequest) -> bytes:
    return _encoder.encode(request)


def decode(data: bytes) -> InternalRequest:
    """Raises UnreadableRequest."""
    try:
        return _decoder.decode(data)
    except msgspec.MsgspecError as problem:
        raise UnreadableRequest(
            f"{len(data)} bytes of a committed entry are not a request: {problem}"
        ) from problem
