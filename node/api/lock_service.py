"""Handles the requests of the Lock service.

Source: etcd 3.5.1, `server/etcdserver/api/v3lock/lock.go`, `client/v3/concurrency/mutex.go`.
"""

from __future__ import annotations

from splitbrain.node.api.lease_service import LeaseHandlers
from splitbrain.node.api.member_interface import MemberPort
from splitbrain.node.api.wait_queue import KvHandlers, WaitQueue, session_of
from splitbrain.node.messages.lock import LockRequest, LockResponse, UnlockRequest, UnlockResponse
from splitbrain.node.messages.rpc import DeleteRangeRequest


class LockHandlers:
    """The handlers of the Lock service of one member. Every handler can raise RpcError."""

    def __init__(self, member: MemberPort, kv: KvHandlers, leases: LeaseHandlers) -> None:
        self._member = member
        self._kv = kv
        self._leases = leases

    async def lock(self, request: LockRequest) -> LockResponse:
        """Add the client to the queue of the lock, and answer when the client holds the lock.

        If the lease of the request already has a key in the queue, the client waits with this key.
        """
        lease = await session_of(self._leases, request.lease)
        queue = WaitQueue(self._member, self._kv, request.name)
        place = await queue.join(lease)
        return LockResponse(header=await queue.wait_for_turn(place), key=place.key)

    async def unlock(self, request: UnlockRequest) -> UnlockResponse:
        """Release the lock: delete its key. As in etcd, a missing key is no error."""
        response = await self._kv.delete_range(DeleteRangeRequest(key=request.key))
        return UnlockResponse(header=response.header)

