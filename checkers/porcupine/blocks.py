"""Histories whose orders are known in pieces: decided by sorting, without a search.

Where values are unique, an answer names the operations that made what it shows. Then
all that is observed falls into *blocks*: runs of operations of which every
linearization has the same order and lets no other effect come between (a write, the
reads of its value, the compare-and-swap that met it, the reads of the next value …).
A block is a list of groups; the operations of one group are in any order, those of a
later group come later.

Of two blocks one is wholly before the other. A must be first if some operation of A
returns before one of B is called: with f the first return and s the last call of a
block, f(A) < s(B). So the history is linearizable if and only if

1. within each block, no operation returns before one of an earlier group is called, and
2. no two blocks must each be first: not both f(A) < s(B) and f(B) < s(A).

More is not needed: if each two agree then so do all, since in a cycle of three or more
f(A) < s(B) <= f(C) < s(A) <= f(B) ... would return to f(A). Blocks with f < s are
intervals that must not overlap; those with s <= f must not lie within one of these.
That is one sort and a bisection for each: O(n log n).

What holds at the start is a block that was begun before all time (`STARTED`).

Sources: Gibbons and Korach, "Testing shared memories" (1997), section 4, for blocks of
one write and its reads (clusters and zones); Lee and Mathur, "Efficient
decrease-and-conquer linearizability monitoring" (2025), and Abdulla, Grahn, Jonsson,
Krishna and Mishra, "Efficient linearizability monitoring" (2025), for intervals of
values in other objects. Blocks of several values are the same argument.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Group = Sequence[int]
Block = Sequence[Group]
"""Groups of places in `calls` and `rets`."""


def _no_order() -> list[int]:
    return []


@dataclass(frozen=True, slots=True)
class Decision:
    """What an algorithm for one kind of object found of one partition.

    `order()` is a linearization where it is `legal`, as places in the operations; an
    operation that never returned and did nothing that was seen is not in it.
    """

    legal: bool
    order: Callable[[], list[int]] = _no_order


ILLEGAL = Decision(False)


def decide_blocks(
    blocks: Sequence[Block], calls: Sequence[float], rets: Sequence[float], starting: bool = False
) -> Decision:
    """Whether `blocks` can be put one after the other. `starting`: the first of them is
    what held before all operations."""
    bounds: list[tuple[float, float]] = []
    forward: list[tuple[float, float]] = []
    backward: list[tuple[float, float]] = []
    for block in blocks:
        first_return = math.inf
        if starting:
            first_return, starting = -math.inf, False
        last_call = -math.inf
        for group in block:
            before = last_call
            for n in group:
                ret = rets[n]
                if ret < before:
                    return ILLEGAL
                if ret < first_return:
                    first_return = ret
                if calls[n] > last_call:
                    last_call = calls[n]
        bound = (first_return, last_call)
        bounds.append(bound)
        if first_return < last_call:
            forward.append(bound)
        else:
            backward.append(bound)
    if not _disjoint(forward) or not _none_within(backward, forward):
        return ILLEGAL
    return Decision(True, lambda: _in_order(blocks, bounds, calls))


def _disjoint(forward: list[tuple[float, float]]) -> bool:
    """Whether no two intervals overlap; sorts them."""
    forward.sort()
    end = -math.inf
    for begin, last in forward:
        if begin < end:
            return False
        end = last
    return True


def _none_within(
    backward: list[tuple[float, float]], forward: list[tuple[float, float]]
) -> bool:
    """Whether no interval from the last call to the first return is inside another's."""
    begins = [begin for begin, _ in forward]
    for first_return, last_call in backward:
        place = bisect_left(begins, last_call) - 1
        # The forward ones are disjoint: only the last that begins before can hold it.
        if place >= 0 and first_return < forward[place][1]:
            return False
    return True


def _in_order(
    blocks: Sequence[Block], bounds: Sequence[tuple[float, float]], calls: Sequence[float]
) -> list[int]:
    # If A must be before B then f(A) < s(B) and s(A) <= f(B), so A's pair is the lesser.
    places = sorted(
        range(len(blocks)), key=lambda place: (min(bounds[place]), max(bounds[place]))
    )
    return [
        n
        for place in places
        for group in blocks[place]
        for n in sorted(group, key=lambda n: calls[n])
    ]


def merged(orders: Sequence[Sequence[int]], calls: Sequence[float]) -> list[int]:
    """One linearization of several independent objects, from one of each.

    Each operation takes effect at the latest call of those up to it in its own order,
    which is within its own call and return.
    """
    points: list[tuple[float, int]] = []
    for order in orders:
        latest = -math.inf
        for n in order:
            latest = max(latest, calls[n])
            points.append((latest, n))
    points.sort(key=lambda point: point[0])
    return [n for _, n in points]
