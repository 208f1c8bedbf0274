"""Notices periods in which the harness did not run, although it had work to do.

In such a period the machine was overloaded or suspended. The harness then sees answers late, and
perhaps the members did not run either. So the checkers do not count the period against the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from splitbrain.harness.store.records import Stall

PERIOD_NS = 50_000_000
"""The time between two checks that the harness still runs."""
LATE_NS = 250_000_000
"""If a check comes later than this after its time, the delay is recorded as a stall."""
STALLS_MAX = 10_000
"""The largest number of recorded stalls. Further stalls are joined to the last one."""


class StallMonitor:
    """Collects stalls, from the start of `run` until it is cancelled.

    `now_ns` returns the time by the clock of the history's events.
    """

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self.stalls: list[Stall] = []
        self._now_ns = now_ns

    async def run(self) -> None:
        """Check again and again, until the task is cancelled."""
        while True:
            due_ns = self._now_ns() + PERIOD_NS
            await asyncio.sleep(PERIOD_NS / 1e9)
            self.note(due_ns, self._now_ns())

    def note(self, due_ns: int, came_ns: int) -> None:
        """Record a stall if the check at `came_ns` is much later than its time, `due_ns`."""
        if came_ns - due_ns < LATE_NS:
            return
        if len(self.stalls) < STALLS_MAX:
            self.stalls.append(Stall(due_ns, came_ns))
        else:
            self.stalls[-1] = Stall(self.stalls[-1].begin, came_ns)

    def unstalled_ns(self) -> int:
        """Return the present time minus the duration of all stalls so far."""
        return self._now_ns() - sum(one.end - one.begin for one in self.stalls)
