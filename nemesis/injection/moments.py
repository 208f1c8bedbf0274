"""Waits for the moments at which faults begin, such as the next election.

The system counts events of its members (`HasMoments`). The triggers of the load count operations,
and the nemesis counts faults. If the system does not count elections, each change of its leader
counts as an election.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from splitbrain.nemesis.capabilities import HasLeader, HasMoments
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault_target import MemberName
from splitbrain.nemesis.injection.faults_in_force import system_name
from splitbrain.nemesis.injection.operation_trigger import Triggers
from splitbrain.nemesis.moment import Moment

POLL_S = 0.003
LEADER_POLL_S = 0.05


class Moments:
    """Counts the events of one run, and waits until an event has happened a number of times."""

    def __init__(self, system: HasLeader, triggers: Triggers) -> None:
        self._system = system
        self._triggers = triggers
        self._faults: Counter[str] = Counter()

    def fault_began(self, name: str) -> None:
        """Count a fault called `name` that has just begun."""
        self._faults[name] += 1

    async def wait(self, moment: Moment) -> None:
        """Wait until the event of `moment` has happened `moment.nth` times from now on.

        The event may never happen; then the method does not return. Raises FaultError if the system
        cannot count the event.
        """
        before = self._count(moment)
        if before is None:
            await self._wait_for_leaders(moment)
            return
        while (self._count(moment) or 0) - before < moment.nth:  # noqa: ASYNC110 - a black box
            await asyncio.sleep(POLL_S)

    def _count(self, moment: Moment) -> int | None:
        """Return how often the event of `moment` has happened so far.

        Returns None for an election if the system does not count elections. Raises FaultError for
        another event that the system does not count.
        """
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
        """Wait until the leader has changed `moment.nth` times."""
        leader = await self._system.leader()
        for _ in range(moment.nth):
            leader = await self._next_leader(leader)

    async def _next_leader(self, before: MemberName | None) -> MemberName:
        while True:
            now = await self._system.leader()
            if now is not None and now != before:
                return now
            await asyncio.sleep(LEADER_POLL_S)
