"""Waits for the moments that faults of a schedule wait for.

Events of the members are counted by the system (`HasMoments`). Operations are counted by the
triggers of the load, and faults by the nemesis. If the system counts no elections, a change of its
leader counts as one.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from splitbrain.nemesis.capabilities import HasLeader, HasMoments
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import MemberName
from splitbrain.nemesis.injection.faults_in_force import system_name
from splitbrain.nemesis.injection.trigger import Triggers
from splitbrain.nemesis.moment import Moment

POLL_S = 0.003
LEADER_POLL_S = 0.05


class Moments:
    """Counts the events of one run, and waits for their moments."""

    def __init__(self, system: HasLeader, triggers: Triggers) -> None:
        self._system = system
        self._triggers = triggers
        self._faults: Counter[str] = Counter()

    def fault_began(self, name: str) -> None:
        """Count a fault that is in force from now on."""
        self._faults[name] += 1

    async def wait(self, moment: Moment) -> None:
        """Return at `moment`, counted from now. It may never return.

        Raises FaultError if the system does not show such events.
        """
        before = self._count(moment)
        if before is None:
            await self._wait_for_leaders(moment)
            return
        while (self._count(moment) or 0) - before < moment.nth:  # noqa: ASYNC110 - a black box
            await asyncio.sleep(POLL_S)

    def _count(self, moment: Moment) -> int | None:
        """Return how often the event has happened so far; None if elections are not counted."""
        if moment.event == "operation":
            return self._triggers.operations_begun
        if moment.event == "fault":
            return self._faults[moment.of] if moment.of else self._faults.total()
        count = None
        if isinstance(self._system, HasMoments):
            count = self._system.occurrences(moment.event)
        if count is None and moment.event != "election":
            raise FaultError(
                f"{system_name(self._system)} does not show when a {moment.event} happens, so no "
                "fault can begin at one"
            )
        return count

    async def _wait_for_leaders(self, moment: Moment) -> None:
        """Wait until the leader has changed `nth` times."""
        leader = await self._system.leader()
        for _ in range(moment.nth):
            leader = await self._next_leader(leader)

    async def _next_leader(self, before: MemberName | None) -> MemberName:
        while True:
            now = await self._system.leader()
            if now is not None and now != before:
                return now
            await asyncio.sleep(LEADER_POLL_S)
