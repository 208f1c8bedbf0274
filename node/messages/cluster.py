"""Defines the requests and responses of MoveLeader and of the Cluster service, except MemberList.

Source: etcd 3.5.1, `api/etcdserverpb/rpc.proto`.
"""

from __future__ import annotations

from msgspec import Struct

from splitbrain.node.messages.rpc import Member, ResponseHeader


class MemberAddRequest(Struct, frozen=True, omit_defaults=True):
    peer_urls: tuple[str, ...] = ()
    is_learner: bool = False


class MemberRemoveRequest(Struct, frozen=True, omit_defaults=True):
    id: int = 0


class MemberUpdateRequest(Struct, frozen=True, omit_defaults=True):
    id: int = 0
    peer_urls: tuple[str, ...] = ()


class MemberPromoteRequest(Struct, frozen=True, omit_defaults=True):
    id: int = 0


class MoveLeaderRequest(Struct, frozen=True, omit_defaults=True):
    target_id: int = 0


class MemberAddResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()
    member: Member = Member()
    members: tuple[Member, ...] = ()


class MemberRemoveResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()
    members: tuple[Member, ...] = ()


class MemberUpdateResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()
    members: tuple[Member, ...] = ()


class MemberPromoteResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()
    members: tuple[Member, ...] = ()


class MoveLeaderResponse(Struct, frozen=True, omit_defaults=True):
    header: ResponseHeader = ResponseHeader()
