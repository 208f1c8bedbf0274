"""Handles the requests of the Cluster service, and MoveLeader of the Maintenance service.

Source: etcd 3.5.1, `server/etcdserver/api/v3rpc/member.go` and `maintenance.go`.
"""

from __future__ import annotations

from msgspec.structs import replace

from splitbrain.node.api.member_interface import MemberPort
from splitbrain.node.messages.cluster import (
    MemberAddRequest,
    MemberAddResponse,
    MemberPromoteRequest,
    MemberPromoteResponse,
    MemberRemoveRequest,
    MemberRemoveResponse,
    MemberUpdateRequest,
    MemberUpdateResponse,
    MoveLeaderRequest,
    MoveLeaderResponse,
)
from splitbrain.node.messages.rpc import (
    Member,
    MemberListRequest,
    MemberListResponse,
    ResponseHeader,
)


class ClusterHandlers:
    """The handlers of the Cluster service of one member. Every handler can raise RpcError."""

    def __init__(self, member: MemberPort) -> None:
        self._member = member

    async def list(self, request: MemberListRequest) -> MemberListResponse:
        if request.linearizable:
            await self._member.linearizable_read()
        return MemberListResponse(header=self._header(), members=self._members())

    async def add(self, request: MemberAddRequest) -> MemberAddResponse:
        await self._member.auth.check_admin()
        added = await self._member.cluster.add(request.peer_urls, learner=request.is_learner)
        return MemberAddResponse(header=self._header(), member=added, members=self._members())

    async def remove(self, request: MemberRemoveRequest) -> MemberRemoveResponse:
        await self._member.auth.check_admin()
        await self._member.cluster.remove(request.id)
        return MemberRemoveResponse(header=self._header(), members=self._members())

    async def update(self, request: MemberUpdateRequest) -> MemberUpdateResponse:
        await self._member.auth.check_admin()
        await self._member.cluster.update(request.id, request.peer_urls)
        return MemberUpdateResponse(header=self._header(), members=self._members())

    async def promote(self, request: MemberPromoteRequest) -> MemberPromoteResponse:
        await self._member.auth.check_admin()
        await self._member.cluster.promote(request.id)
        return MemberPromoteResponse(header=self._header(), members=self._members())

    async def move_leader(self, request: MoveLeaderRequest) -> MoveLeaderResponse:
        await self._member.cluster.move_leader(request.target_id)
        # etcd sends no header in this response.
        return MoveLeaderResponse()

    def _header(self) -> ResponseHeader:
        # etcd sends no revision in these responses.
        return replace(self._member.header(), revision=0)

    def _members(self) -> tuple[Member, ...]:
        return tuple(self._member.members())
