"""Chooses the member to which an operation is sent, when the operation begins.

An operation is drawn for a member with a certain number, or for a follower. Which members follow
depends on the leader at that time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from splitbrain.harness.schedule.operation import ScheduledOperation
from splitbrain.harness.systems.system import System


class LeaderPoll:
    """Asks the system for its leader at regular intervals, so that operations need not ask."""

    PERIOD_S = 0.2

    def __init__(self, system: System) -> None:
        self._system = system
        self.name: str | None = None
        """The leader at the last poll, or None if there was none."""

    async def run(self) -> None:
        """Ask again and again, until the task is cancelled."""
        while True:
            with contextlib.suppress(Exception):  # then the last known leader is kept
                self.name = await self._system.leader()
            await asyncio.sleep(self.PERIOD_S)


def choose_member(scheduled: ScheduledOperation, members: Sequence[str], leader: str | None) -> str:
    """Return the member to which `scheduled` is sent.

    `leader` is the present leader, or None if it is unknown.
    """
    if scheduled.to_follower and leader is not None and len(members) > 1:
        followers = [member for member in members if member != leader]
        return followers[scheduled.member % len(followers)]
    return members[scheduled.member % len(members)]
