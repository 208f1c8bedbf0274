"""Draws how long a frame, such as a message between two members, takes over a link.

The delay has a least and a random part. Lost packets, which the operating system sends again, and
the faults of the link make it longer.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from splitbrain.harness.schedule.network_and_disk_conditions import NetworkConditions
from splitbrain.harness.simulation.virtual_loop import VirtualLoop
from splitbrain.nemesis.capabilities import NORMAL, LinkState

RETRANSMIT_NS = 200_000_000
"""The time before the first retransmission. Source: Linux's TCP_RTO_MIN."""
RETRANSMITS_MAX = 4
"""The largest number of times that a fault loses the same frame. Each loss doubles the delay. With
more losses, a frame would arrive more than ten seconds late, and long after the end of the
fault."""

DELAYS_IN_MEANS_MAX = 4
"""The longest random delay of a frame, as a multiple of the mean delay."""
LATE_NS = 100_000_000
"""A frame that a fault delays for longer than this counts as a disturbance of its link
(`health.py`)."""


class LinkDelay:
    """The delays of one direction between two machines."""

    def __init__(
        self,
        loop: VirtualLoop,
        random: Random,
        conditions: NetworkConditions,
        reached: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._random = random
        self.conditions = conditions
        self.reached = reached
        self.state: LinkState = NORMAL
        self._free_at_ns = 0
        self.disturbed_ns = 0
        """The time at which the last disturbance ends, in ns of virtual time. A disturbance is a
        lost or late frame, or a connection that begins or ends."""
        self.effects = 0
        """The number of frames that the faults of this link have lost, changed or delayed, and of
        connections that they have broken or prevented."""

    def transit_ns(self, size: int) -> int:
        """Return the delay of `size` bytes that are sent now.

        It does not depend on other frames.
        """
        random, conditions, state = self._random, self.conditions, self.state
        least, mean = conditions.delay_us
        # The product of two draws is cheap to compute and has the bound `DELAYS_IN_MEANS_MAX`.
        delay_ns = int((least + mean * 2 * random.random() * random.random() * 2) * 1000)
        late = random.random() * 100 < conditions.slow_percent
        if late:
            delay_ns += RETRANSMIT_NS << random.randrange(3)
            self.reached("a frame waited for a retransmission")
        if state is not NORMAL:
            added_ns = self._added_ns(state, size)
            delay_ns += added_ns
            late = late or added_ns > LATE_NS
        if late:
            self.disturb(delay_ns)
        return delay_ns

    def _added_ns(self, state: LinkState, size: int) -> int:
        """Return the part of a frame's delay that the link's fault causes, in ns."""
        added_ns = 0
        if state.delay_ms or state.jitter_ms:
            jitter_ms = (self._random.random() * 2 - 1) * state.jitter_ms
            added_ns += int(max(state.delay_ms + jitter_ms, 0.0) * 1_000_000)
        if state.lost_percent:
            times = 0
            while times < RETRANSMITS_MAX and self.happens(state.lost_percent):
                added_ns += RETRANSMIT_NS << times
                times += 1
        if state.rate_bytes_per_s:
            now_ns = self._loop.now_ns
            taken_ns = size * 1_000_000_000 // state.rate_bytes_per_s
            self._free_at_ns = max(self._free_at_ns, now_ns) + taken_ns
            added_ns += self._free_at_ns - now_ns
        self.effects += added_ns > 0
        return added_ns

    def disturb(self, for_ns: int = 0) -> None:
        """Record a disturbance of the link whose effect lasts for `for_ns`."""
        self.disturbed_ns = max(self.disturbed_ns, self._loop.now_ns + for_ns)

    def happens(self, percent: float) -> bool:
        """Return True with a probability of `percent` percent."""
        return percent > 0 and self._random.random() * 100 < percent

    def fraction(self) -> float:
        """Return a random number between 0 and 1."""
        return self._random.random()
