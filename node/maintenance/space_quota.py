"""Enforces the space quota: a member whose backend is full raises the alarm NOSPACE.

While the alarm is raised, no member applies a request that needs space
(`splitbrain.node.apply.alarm_refusal`). Deletions, compactions and reads are still served, so that
an operator can free space, defragment the members, and clear the alarm.

Source: etcd's `quotaAlarmer` and `quotaApplierV3`. In etcd, the first write that exceeds the quota
of a member is applied, and is nevertheless answered with an error. Here, a write is either refused
before it is proposed, or applied and answered with success.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from splitbrain.node.alarms import Alarms
from splitbrain.node.messages import errors
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.messages.rpc import AlarmAction, AlarmRequest, AlarmType
from splitbrain.node.messages.space_cost import space_cost
from splitbrain.node.raft.errors import ProposalDropped
from splitbrain.node.wakeup import Wakeup
from splitbrain.node.world import World

RETRY_S = 1.0
"""The pause, in seconds, before a member tries again to raise an alarm."""


class SpaceQuota:
    """Raises the alarm NOSPACE when the backend of one member exceeds its quota.

    `run` is the task. `size_bytes` returns the size of the backend. `raise_alarm` replicates a
    request, and waits until this member has applied it. `flushed` is set after each flush of the
    backend.
    """

    def __init__(
        self,
        *,
        world: World,
        quota_bytes: int | None,
        member_id: int,
        alarms: Alarms,
        size_bytes: Callable[[], int],
        raise_alarm: Callable[[AlarmRequest], Awaitable[object]],
        flushed: Wakeup,
    ) -> None:
        self._world = world
        self._quota_bytes = quota_bytes
        self._member_id = member_id
        self._alarms = alarms
        self._size_bytes = size_bytes
        self._raise_alarm = raise_alarm
        self._flushed = flushed

    async def check(self, request: object) -> None:
        """Raise RpcError if the backend has no room for `request`. The alarm is raised first."""
        cost = space_cost(request)
        if cost and not self._has_room(cost):
            await self._raise_once()
            raise errors.no_space()

    async def run(self) -> None:
        """Raise the alarm whenever a flush has left the backend over its quota. Does not return."""
        while True:
            await self._flushed.wait()
            if not self._has_room(0) and not await self._raise_once():
                await self._world.clock.sleep(RETRY_S)
                self._flushed.set()

    def _has_room(self, cost_bytes: int) -> bool:
        # etcd compares in the same way. If the size is exactly the quota, there is no room.
        return self._quota_bytes is None or self._size_bytes() + cost_bytes < self._quota_bytes

    async def _raise_once(self) -> bool:
        """Raise the alarm for this member, if it is not raised yet.

        Returns False if the request to raise the alarm failed.
        """
        if self._alarms.is_raised(AlarmType.NOSPACE, self._member_id):
            return True
        try:
            await self._raise_alarm(
                AlarmRequest(AlarmAction.ACTIVATE, self._member_id, AlarmType.NOSPACE)
            )
        except (RpcError, ProposalDropped) as problem:
            self._world.log("warn", "cannot raise the alarm NOSPACE", why=str(problem))
            return False
        self._world.log(
            "warn", "raised the alarm NOSPACE",
            size_bytes=self._size_bytes(), quota_bytes=self._quota_bytes,
        )
        return True
