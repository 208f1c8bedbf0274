"""Computes the state of each link while several faults affect it.

Each fault in force adds a `LinkState` to some links. The effective state of a link combines all of
them. It is computed again when a state is added or removed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from splitbrain.nemesis.capabilities import NORMAL, LinkState
from splitbrain.nemesis.partition_shapes import Link


class LinkTable:
    """The states that faults in force have added to links.

    A fault is identified by a number, its token. The table does no I/O: it only computes the state
    that each link must have.
    """

    def __init__(self) -> None:
        self._conditions: dict[int, Mapping[Link, LinkState]] = {}

    def add(self, token: int, conditions: Mapping[Link, LinkState]) -> None:
        """Add the states of the fault `token` to the links in `conditions`."""
        self._conditions[token] = dict(conditions)

    def remove(self, token: int) -> Collection[Link]:
        """Remove the states of the fault `token`.

        Returns the links that had them, or () if the fault is not in the table.
        """
        return tuple(self._conditions.pop(token, {}))

    def effective(self, link: Link) -> LinkState:
        """Return the combined state of `link` under all faults in force."""
        state = NORMAL
        for conditions in self._conditions.values():
            if link in conditions:
                state = combine(state, conditions[link])
        return state


def combine(one: LinkState, other: LinkState) -> LinkState:
    """Return the state of a link to which both states apply, as if two faulty devices were in it.

    The link is cut if either state cuts it. Delays and jitters add up, and the lower rate and the
    smaller buffer apply. A packet is lost or changed if either state loses or changes it.
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
