"""Defines the requests and responses of the Election service as values.

Source: etcd 3.5.1, `server/etcdserver/api/v3election/v3electionpb/v3election.proto`.
"""

from __future__ import annotations

from msgspec import Struct

from splitbrain.node.messages.rpc import Int64, ResponseHeader
from splitbrain.node.mvcc.key_value import KeyValue


class LeaderKey(Struct, frozen=True, omit_defaults=True):
    """Identifies a leadership: the election's name, the leader's key and its create revision."""

    name: bytes = b""
    key: bytes = b""
    rev: Int64 = 0
    lease: Int64 = 0


class CampaignRequest(Struct, frozen=True, omit_defaults=True):
    """Takes part in the election `name`. The member answers when the client is elected.

    If `lease` is 0, the member grants a lease.
    """

    name: bytes = b""
    lease: Int64 = 0
    value: bytes = b""


class CampaignResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()
    leader: LeaderKey | None = None


class ProclaimRequest(Struct, frozen=True, omit_defaults=True):
    """Replaces the value of the leader's key."""

    leader: LeaderKey | None = None
    value: bytes = b""


class ProclaimResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()


class LeaderRequest(Struct, frozen=True, omit_defaults=True):
    """Asks for the leader of the election `name`, once (Leader) or continuously (Observe)."""

    name: bytes = b""


class LeaderResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()
    kv: KeyValue | None = None


class ResignRequest(Struct, frozen=True, omit_defaults=True):
    leader: LeaderKey | None = None


class ResignResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()
