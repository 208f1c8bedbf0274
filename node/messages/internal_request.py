"""What raft replicates: a request and the id by which its member waits for the result.

msgpack, each operation tagged with its kind, defaults left out. A member must apply
exactly what the others apply, so what it cannot read whole it refuses.
"""

from __future__ import annotations

import msgspec

from splitbrain.node.messages.rpc import WriteRequest


class MemberAttributesRequest(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", tag="attributes"
):
    """What a member says of itself. Source: etcd's ClusterMemberAttrSetRequest."""

    member_id: int
    name: str
    client_urls: tuple[str, ...]


class InternalRequest(msgspec.Struct, frozen=True, array_like=True):
    """`id` is unique among the requests in flight of all members."""

    id: int
    op: WriteRequest | MemberAttributesRequest

    @property
    def client_id(self) -> int:
        """The id, if a client asked for this; 0 for what members say of themselves."""
        return 0 if isinstance(self.op, MemberAttributesRequest) else self.id


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
