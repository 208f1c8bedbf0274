"""The links of a cluster under several faults at once.

Each fault in force adds a condition to some links; a link's effective state is what
all its conditions make together, and goes back as they go.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from splitbrain.nemesis.capabilities import NORMAL, LinkState
from splitbrain.nemesis.topology import Link


class LinkTable:
    """Conditions in force, by a token of the fault that set them. No I/O: it answers
    which links must be set to what."""

    def __init__(self) -> None:
        self._conditions: dict[int, Mapping[Link, LinkState]] = {}

    def add(self, token: int, conditions: Mapping[Link, LinkState]) -> None:
        self._conditions[token] = dict(conditions)

    def remove(self, token: int) -> Collection[Link]:
        """The links that the fault touched; none if it is not in force (any more)."""
        return tuple(self._conditions.pop(token, {}))

    def effective(self, link: Link) -> LinkState:
        state = NORMAL
        for conditions in self._conditions.values():
            if link in conditions:
                state = together(state, conditions[link])
        return state


def together(one: LinkState, other: LinkState) -> LinkState:
    """Both conditions at once, as two devices in a row: either cuts, delays add up,
    the slower rate rules."""
    rates = [rate for rate in (one.rate_bytes_per_s, other.rate_bytes_per_s) if rate]
    return LinkState(
        open=one.open and other.open,
        black_hole=one.black_hole or other.black_hole,
        delay_ms=one.delay_ms + other.delay_ms,
        jitter_ms=one.jitter_ms + other.jitter_ms,
        rate_bytes_per_s=min(rates, default=0),
    )
