"""One directed link of a proxy: when bytes that a member sends may be passed on.

Pure but for the clock, which is an argument: seconds in, seconds out.
"""

from __future__ import annotations

from random import Random

from splitbrain.nemesis.capabilities import NORMAL, LinkState

SLOW_PIECE_S = 0.02
"""On a link of limited rate, bytes pass on in pieces that take about as long as this."""


class Link:
    """The state of one direction between two members, shared by all its connections."""

    def __init__(self, random: Random) -> None:
        self.state: LinkState = NORMAL
        self._random = random
        self._free_at_s = 0.0
        """When the pipe of limited rate has passed all bytes accepted so far."""

    def set(self, state: LinkState) -> None:
        self.state = state
        self._free_at_s = 0.0

    @property
    def held(self) -> bool:
        """Whether no byte passes now."""
        return self.state.black_hole or not self.state.open

    @property
    def plain(self) -> bool:
        """Whether bytes pass at once."""
        state = self.state
        return not (self.held or state.delay_ms or state.jitter_ms or state.rate_bytes_per_s)

    def piece_bytes_max(self) -> int:
        """How many bytes to schedule at once; 0: as many as there are."""
        rate = self.state.rate_bytes_per_s
        return max(int(rate * SLOW_PIECE_S), 1) if rate else 0

    def due_s(self, now_s: float, size: int) -> float:
        """When a chunk of `size` bytes that arrives now is due on the other side, were it alone.

        The caller keeps chunks of a connection in order.
        """
        state = self.state
        due = now_s
        if state.rate_bytes_per_s:
            self._free_at_s = max(self._free_at_s, now_s) + size / state.rate_bytes_per_s
            due = self._free_at_s
        jitter_ms = self._random.uniform(-state.jitter_ms, state.jitter_ms)
        return due + max(state.delay_ms + jitter_ms, 0.0) / 1000
