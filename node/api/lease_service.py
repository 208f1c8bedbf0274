"""Handles the requests of the Lease service.

Source: etcd 3.5.1, `server/etcdserver/api/v3rpc/lease.go` and `v3_server.go`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

from msgspec.structs import replace

from splitbrain.node.api.member_interface import MemberPort
from splitbrain.node.messages.lease import (
    LeaseGrantRequest,
    LeaseGrantResponse,
    LeaseKeepAliveRequest,
    LeaseKeepAliveResponse,
    LeaseLeasesRequest,
    LeaseLeasesResponse,
    LeaseRevokeRequest,
    LeaseRevokeResponse,
    LeaseStatus,
    LeaseTimeToLiveRequest,
    LeaseTimeToLiveResponse,
)


class LeaseHandlers:
    """The handlers of the Lease service of one member. Every handler can raise RpcError."""

    def __init__(self, member: MemberPort) -> None:
        self._member = member

    async def grant(self, request: LeaseGrantRequest) -> LeaseGrantResponse:
        """Create a lease.

        The member that proposes the grant completes the request. If the request contains no id, the
        member chooses one. If the time to live is too short, the member replaces it by the shortest
        allowed one. The proposed request contains both values, so all members apply the same
        values.
        """
        leases = self._member.leases
        chosen = LeaseGrantRequest(
            ttl=max(request.ttl, leases.ttl_s_min), id=request.id or leases.new_id()
        )
        response = await self._member.propose(chosen)
        assert isinstance(response, LeaseGrantResponse)
        header = replace(self._member.header(), revision=response.header.revision)
        return replace(response, header=header)

    async def revoke(self, request: LeaseRevokeRequest) -> LeaseRevokeResponse:
        """End a lease, and delete its keys."""
        response = await self._member.propose(request)
        assert isinstance(response, LeaseRevokeResponse)
        header = replace(self._member.header(), revision=response.header.revision)
        return replace(response, header=header)

    async def keep_alive(
        self, requests: AsyncIterator[LeaseKeepAliveRequest]
    ) -> AsyncGenerator[LeaseKeepAliveResponse, None]:
        """Yield one response for each request, until the requests end. Raises RpcError.

        The header's revision is read before the lease is renewed. A revocation after the renewal
        therefore never has a lower revision than the response.
        """
        async for request in requests:
            header = self._member.header()
            ttl = await self._member.leases.keep_alive(request.id)
            yield LeaseKeepAliveResponse(header=header, id=request.id, ttl=ttl)

    async def time_to_live(self, request: LeaseTimeToLiveRequest) -> LeaseTimeToLiveResponse:
        response = await self._member.leases.time_to_live(request.id, keys=request.keys)
        return replace(response, header=self._member.header())

    async def leases(self, _request: LeaseLeasesRequest) -> LeaseLeasesResponse:
        """Return the leases in this member's store. Other members are not asked."""
        found = tuple(LeaseStatus(lease_id) for lease_id in self._member.leases.leases())
        return LeaseLeasesResponse(header=self._member.header(), leases=found)
