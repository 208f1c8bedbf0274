"""Encodes the payload of a log entry: a client's request with an id.

The encoding is msgpack, with the name of the request's struct and without default values. All
members must apply exactly the same operations. Therefore a member that cannot decode a committed
entry completely raises an error, and stops.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec

from splitbrain.node.messages.auth import AuthWriteRequest, AuthWriteResponse
from splitbrain.node.messages.lease import LeaseWriteRequest, LeaseWriteResponse, LessorRequest
from splitbrain.node.messages.rpc import AlarmRequest, AlarmResponse, WriteRequest, WriteResponse

ClientWrite = WriteRequest | LeaseWriteRequest | AlarmRequest | AuthWriteRequest
"""A client's write that is replicated."""
StoreOperation = WriteRequest | LeaseWriteRequest | LessorRequest
"""An operation on the store of keys. Other operations change users, roles or alarms."""
Operation = ClientWrite | LessorRequest
OperationResponse = WriteResponse | LeaseWriteResponse | AlarmResponse | AuthWriteResponse


class MemberAttributesRequest(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", tag="attributes"
):
    """The name and client URLs that a member publishes.

    Source: etcd's ClusterMemberAttrSetRequest.
    """

    member_id: int
    name: str
    client_urls: tuple[str, ...]


class InternalRequest(msgspec.Struct, frozen=True, array_like=True):
    """A request with an id. By the id, a member finds the call that waits for the result.

    No two requests of a cluster have the same id.

    `user` is the user who sent the request, and `auth_revision` the auth revision at which the
    proposing member identified the user. `auth_revision` is 0 if the client sent no token.
    """

    id: int
    op: Operation | MemberAttributesRequest
    user: str = ""
    auth_revision: int = 0

    @property
    def client_id(self) -> int:
        """The id of a client's request. 0 if the request only publishes a member's attributes."""
        return 0 if isinstance(self.op, MemberAttributesRequest) else self.id


class UnreadableRequest(Exception):
    """The payload of a committed entry cannot be decoded: it is corrupt, or of a newer release."""


RECENT_MAX = 32
"""The number of decoded payloads that are kept.

A payload is decoded often: each traced step of the write path reads the id of the request, and all
members of a simulation decode the same payload.
"""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(InternalRequest)


def encode(request: InternalRequest) -> bytes:
    return _encoder.encode(request)


@lru_cache(maxsize=RECENT_MAX)
def decode(data: bytes) -> InternalRequest:
    """Decode the payload of a log entry. Raises UnreadableRequest."""
    try:
        return _decoder.decode(data)
    except msgspec.MsgspecError as problem:
        raise UnreadableRequest(
            f"{len(data)} bytes of a committed entry are not a request: {problem}"
        ) from problem
