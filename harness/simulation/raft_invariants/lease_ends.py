"""Checks that the primary lessor of a cluster proposes the end of each lease soon after its time.

The checker `lease` judges the same, but only from the answers of clients, and it must allow for the
time that faults and elections take. This module reads the times of the lessor itself. The proposal
depends on nothing but the member's own clock and event loop, so the rule also applies while faults
are in force.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from splitbrain.harness.simulation.member import Member
from splitbrain.node.lease.lessor import TICK_S, Lessor

ENDS_AT_ONCE_MIN = 4
"""The smallest number of leases whose end a lessor proposes in one interval (`buggify.py`)."""
INTERVALS_MAX = 3
"""How many intervals of the lessor its proposal may take if few leases are over."""


class _Wait(NamedTuple):
    """How long the end of a lease waits to be proposed."""

    ticks: int
    """The number of ticks since the lease was first found to be over."""
    over_max: int
    """The largest number of leases that were over at the same time meanwhile."""


class LeaseEndMonitor:
    """Checks the lessors of all members. A tick of Raft takes `tick_s` seconds.

    The waiting time is measured in ticks, because a paused member has no ticks.
    """

    def __init__(self, *, tick_s: float, violated: Callable[[str], None]) -> None:
        self._tick_s = tick_s
        self._violated = violated

    def began(self, member: Member) -> None:
        """Observe the lessor of a member whose process has started to serve."""
        server = member.server
        assert server is not None
        lessor, raft, waited = server.parts.lessor, server.raft, dict[int, _Wait]()
        tick = raft.tick

        def observed_tick() -> None:
            tick()
            if lessor.primary_term:
                self._check(member, lessor, waited)
            elif waited:
                waited.clear()

        raft.tick = observed_tick  # type: ignore[method-assign]

    def _check(self, member: Member, lessor: Lessor, waited: dict[int, _Wait]) -> None:
        """Find the leases that are over, and whose end is not proposed yet.

        `waited` contains these leases at the tick before.
        """
        now_ns = lessor._clock.monotonic_ns()
        over = {one: times for one, times in lessor._times.items() if times.expires_ns <= now_ns}
        due = [one for one, times in over.items() if times.end_ns == times.expires_ns]
        before = dict(waited)
        waited.clear()
        for lease_id in due:
            ticks, over_max = before.get(lease_id, _Wait(-1, 0))
            waited[lease_id] = wait = _Wait(ticks + 1, max(over_max, len(over)))
            # The end of a lease that still exists is proposed again, in the same intervals.
            bound_s = (INTERVALS_MAX + wait.over_max // ENDS_AT_ONCE_MIN) * TICK_S
            waited_s = wait.ticks * self._tick_s
            if bound_s < waited_s <= bound_s + self._tick_s:
                self._violated(
                    f"{member.name} leads, and has not proposed the end of lease {lease_id} for "
                    f"{waited_s:.3f} s after its time"
                )
