"""Handles the requests of etcd's Election service.

Each candidate of an election waits in a queue of keys (`splitbrain.node.api.wait_queue`). The
client whose key is the oldest in the queue is the leader of the election.

Source: etcd 3.5.1, `server/etcdserver/api/v3election/election.go`,
`client/v3/concurrency/election.go`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from msgspec.structs import replace

from splitbrain.node.api.lease_service import LeaseHandlers
from splitbrain.node.api.member_interface import MemberPort
from splitbrain.node.api.wait_queue import (
    KvHandlers,
    WaitQueue,
    as_client_error,
    end_of_prefix,
    if_created_at,
    session_of,
)
from splitbrain.node.messages.election import (
    CampaignRequest,
    CampaignResponse,
    LeaderKey,
    LeaderRequest,
    LeaderResponse,
    ProclaimRequest,
    ProclaimResponse,
    ResignRequest,
    ResignResponse,
)
from splitbrain.node.messages.errors import Code, RpcError
from splitbrain.node.messages.rpc import PutRequest, ResponseHeader
from splitbrain.node.mvcc.key_value import EventType, KeyValue

NO_LEADER = "election: no leader"
NOT_LEADER = "election: not leader"
MISSING_LEADER = '"leader" field must be provided'


class ElectionHandlers:
    """The handlers of the Election service of one member. Every handler can raise RpcError."""

    def __init__(self, member: MemberPort, kv: KvHandlers, leases: LeaseHandlers) -> None:
        self._member = member
        self._kv = kv
        self._leases = leases

    async def campaign(self, request: CampaignRequest) -> CampaignResponse:
        """Add the client to the queue of the election, and answer when the client is the leader.

        The lease of the request may already have a key in the election. The client then waits with
        this key, whose value is replaced by the value of the request.

        As in etcd, the header of the response is that of the transaction that created or found the
        key, not that of the moment when the client became leader.
        """
        lease = await session_of(self._leases, request.lease)
        queue = self._queue(request.name)
        place = await queue.join(lease, request.value)
        leader = LeaderKey(request.name, place.key, place.create_revision, lease)
        if place.existing is not None and place.existing.value != request.value:
            await self._proclaim_or_resign(leader, request.value)
        await queue.wait_for_turn(place)
        return CampaignResponse(header=place.header, leader=leader)

    async def proclaim(self, request: ProclaimRequest) -> ProclaimResponse:
        """Replace the value of the leader's key. Raises RpcError if the client no longer leads."""
        leader = given_leader(request.leader)
        leader = replace(leader, lease=await session_of(self._leases, leader.lease))
        return ProclaimResponse(header=await self._proclaim(leader, request.value))

    async def leader(self, request: LeaderRequest) -> LeaderResponse:
        """Return the leader's key and value. Raises RpcError if there is no leader."""
        found = await self._kv.range(self._queue(request.name).first())
        if not found.kvs:
            raise RpcError(Code.UNKNOWN, NO_LEADER)
        return LeaderResponse(header=found.header, kv=found.kvs[0])

    async def resign(self, request: ResignRequest) -> ResignResponse:
        """Delete the leader's key, so that the next client in the queue becomes the leader."""
        leader = given_leader(request.leader)
        await session_of(self._leases, leader.lease)
        queue = self._queue(leader.name)
        response = await queue.delete_if_created_at(leader.key, leader.rev)
        return ResignResponse(header=response.header)

    async def observe(self, request: LeaderRequest) -> AsyncGenerator[LeaderResponse, None]:
        """Yield the leader of an election, and yield a response again after each change.

        A change is a new leader, or a new value of the leader. If the election has no leader at
        first, the iterator waits for one. It does not end until the caller closes it.
        """
        queue = self._queue(request.name)
        try:
            while True:
                leader = await self._next_leader(queue)
                yield leader
                assert leader.kv is not None
                async for later in self._until_deleted(queue, leader.kv, leader.header.revision):
                    yield later
        except RpcError as problem:
            raise as_client_error(problem) from problem

    async def _next_leader(self, queue: WaitQueue) -> LeaderResponse:
        """Return the leader. If the election has no key yet, wait for the first key."""
        while True:
            found = await self._kv.range(queue.first())
            if found.kvs:
                return LeaderResponse(header=found.header, kv=found.kvs[0])
            end = end_of_prefix(queue.prefix)
            changes = queue.changes(queue.prefix, end, found.header.revision)
            async for batch in changes:
                for event in batch.events:
                    if event.type is EventType.PUT:
                        await changes.aclose()
                        return LeaderResponse(self._header(event.kv.mod_revision), event.kv)

    async def _until_deleted(
        self, queue: WaitQueue, leader: KeyValue, revision: int
    ) -> AsyncGenerator[LeaderResponse, None]:
        """Yield the values that the leader puts after `revision`, until its key is deleted."""
        changes = queue.changes(leader.key, b"", revision + 1)
        try:
            async for batch in changes:
                for event in batch.events:
                    if event.type is EventType.DELETE:
                        return
                    yield LeaderResponse(self._header(batch.revision), event.kv)
        finally:
            await changes.aclose()

    async def _proclaim_or_resign(self, leader: LeaderKey, value: bytes) -> None:
        try:
            await self._proclaim(leader, value)
        except RpcError:
            await self._queue(leader.name).delete_if_created_at(leader.key, leader.rev)
            raise

    async def _proclaim(self, leader: LeaderKey, value: bytes) -> ResponseHeader:
        """Put `value` at the leader's key, and return the header of the response.

        Raises RpcError if the key has been deleted since the client was elected, even if it was
        created again.
        """
        put = PutRequest(key=leader.key, value=value, lease=leader.lease)
        response = await self._kv.txn(if_created_at(leader.key, leader.rev, put))
        if not response.succeeded:
            raise RpcError(Code.UNKNOWN, NOT_LEADER)
        return response.header

    def _queue(self, name: bytes) -> WaitQueue:
        return WaitQueue(self._member, self._kv, name)

    def _header(self, revision: int) -> ResponseHeader:
        return replace(self._member.header(), revision=revision)


def given_leader(leader: LeaderKey | None) -> LeaderKey:
    """Return the field `leader` of a request.

    Raises RpcError if the request does not contain it.
    """
    if leader is None:
        raise RpcError(Code.UNKNOWN, MISSING_LEADER)
    return leader
