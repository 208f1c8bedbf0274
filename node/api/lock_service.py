"""The Lock service.

Source: etcd 3.5.1, `server/etcdserver/api/v3lock/lock.go`, `client/v3/concurrency/mutex.go`.
"""

from __future__ import annotations

from splitbrain.node.api.lease_service import LeaseHandlers
from splitbrain.node.api.ports import MemberPort
from splitbrain.node.api.wait_queue import KvHandlers, WaitQueue, session_of
from splitbrain.node.messages.lock import LockRequest, LockResponse, UnlockRequest, UnlockResponse
from splitbrain.node.messages.rpc import DeleteRangeRequest


class LockHandlers:
    """The handlers of the Lock service. They raise RpcError."""

    def __init__(self, member: MemberPort, kv: KvHandlers, leases: LeaseHandlers) -> None:
        self._member = member
        self._kv = kv
        self._leases = leases

    async def lock(self, request: LockRequest) -> LockResponse:
        """Wait until the client holds the lock.

        A client that already has a key in the queue, by the same lease, waits with this key.
        """
        lease = await session_of(self._leases, request.lease)
        queue = WaitQueue(self._member, self._kv, request.name)
        place = await queue.join(lease)
        return LockResponse(header=await queue.wait_for_turn(place), key=place.key)

    async def unlock(self, request: UnlockRequest) -> UnlockResponse:
        """Delete the key of the lock. As in etcd, a missing key is no error."""
        response = await self._kv.delete_range(DeleteRangeRequest(key=request.key))
        return UnlockResponse(header=response.header)

