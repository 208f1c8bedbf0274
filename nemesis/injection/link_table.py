"""The links of a cluster while several faults affect them.

Each fault in force adds a condition, which is a `LinkState`, to some links. The effective state of
a link combines all its conditions, and is computed again when one of them is removed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from splitbrain.nemesis.capabilities import NORMAL, LinkState
from splitbrain.nemesis.topology import Link


class LinkTable:
    """The conditions that faults in force have added to links.

    A fault is identified by a token, which is a number. The table does no I/O: it only computes
    the state that each link must have.
    """

    def __init__(self) -> None:
        self._conditions: dict[int, Mapping[Link, LinkState]] = {}

    def add(self, token: int, conditions: Mapping[Link, LinkState]) -> None:
        self._conditions[token] = dict(conditions)

    def remove(self, token: int) -> Collection[Link]:
        """Remove a fault's conditions; returns its links, or () if it is not in force."""
        return tuple(self._conditions.pop(token, {}))

    def effective(self, link: Link) -> LinkState:
        """Return the state of `link` under all its conditions."""
        state = NORMAL
        for conditions in self._conditions.values():
            if link in conditions:
                state = combine(state, conditions[link])
        return state


def combine(one: LinkState, other: LinkState) -> LinkState:
    """Return the state of a link under both conditions, as of two devices in a row.

    The link is cut if either condition cuts it. Delays and jitters add up, and the lower rate and
    the smaller buffer apply. A packet is lost or changed if either condition loses or changes it.
    """
    rates = [rate for rate in (one.rate_bytes_per_s, other.rate_bytes_per_s) if rate]
    buffers = [size for size in (one.buffer_bytes_max, other.buffer_bytes_max) if size]
    return LinkState(
        open=one.open and other.open,
        black_hole=one.black_hole or other.black_hole,
        delay_ms=one.delay_ms + other.delay_ms,
        jitter_ms=one.jitter_ms + other.jitter_ms,
        rate_bytes_per_s=min(rates, default=0),
        buffer_bytes_max=min(buffers, default=0),
        lost_percent=_either(one.lost_percent, other.lost_percent),
        corrupt_percent=_either(one.corrupt_percent, other.corrupt_percent),
        half_open=one.half_open or other.half_open,
    )


def _either(one: float, other: float) -> float:
    """Return the probability, in percent, that at least one of two independent events happens."""
    return one + other - one * other / 100 if one and other else one or other
