"""Decides histories that consist of blocks, by sorting the blocks instead of a search.

If values are unique, each value in an answer identifies the operation that wrote it. Then the
operations form *blocks*. A block is a sequence of operations that have the same order in every
linearization, with no other state-changing operation between them. An example is a write, the
reads of its value, the compare-and-swap that replaced this value, the reads of the new value, and
so on. A block is represented as a list of groups. The operations of one group may be in any order,
and the operations of a later group come after those of an earlier group.

Blocks cannot interleave, so of any two blocks one is completely before the other. Let f be the
first return of a block, and s its last call. Block A must be before block B if an operation of A
returns before an operation of B is called, that is, if f(A) < s(B). So the history is linearizable
if and only if

1. within each block, no operation returns before an operation of an earlier group is called, and
2. there are no two blocks A and B with both f(A) < s(B) and f(B) < s(A).

The second condition is about intervals, because each block has an interval between f and s. The
intervals of blocks with f < s must not overlap each other, and the interval of a block with s <= f
must not lie within one of them. Checking both conditions takes one sort and one bisection for each
block: O(n log n).

Sources: Gibbons and Korach, "Testing shared memories" (1997), section 4, for blocks of one write
and its reads (clusters and zones); Lee and Mathur, "Efficient decrease-and-conquer linearizability
monitoring" (2025), and Abdulla, Grahn, Jonsson, Krishna and Mishra, "Efficient linearizability
monitoring" (2025), for intervals of values in other objects. The argument for blocks of several
values is the same.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# It is sufficient to check pairs of blocks. A cycle of three blocks A, B and C, of which no two
# form a cycle, would require f(A) < s(B) <= f(C) < s(A) <= f(B) < s(C) <= f(A). This is
# impossible. The same chain exists for longer cycles.

Group = Sequence[int]
Block = Sequence[Group]
"""Groups of indexes in `calls` and `rets`."""


def _no_order() -> list[int]:
    return []


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision of an algorithm without a search, for one partition of a history.

    If the partition is `legal`, `order()` returns a linearization as indexes of operations. The
    linearization leaves out operations that never returned and whose effect no answer shows.
    """

    legal: bool
    order: Callable[[], list[int]] = _no_order


ILLEGAL = Decision(False)


def decide_blocks(
    blocks: Sequence[Block], calls: Sequence[float], rets: Sequence[float], starting: bool = False
) -> Decision:
    """Decide whether the operations are linearizable, given that they form `blocks`.

    A block is a sequence of operations with no other state-changing operation between them. `calls`
    and `rets` are the times of the operations. If `starting` is true, the first block contains the
    initial state, and therefore begins before all operations.
    """
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
    """Return whether no two of the intervals overlap. As a side effect, sorts `forward`."""
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
    """Return whether no `backward` interval lies inside a `forward` interval.

    An interval is a pair of a block's first return and its last call. It is backward if the last
    call is not after the first return. The `forward` intervals must be sorted and disjoint.
    """
    begins = [begin for begin, _ in forward]
    for first_return, last_call in backward:
        place = bisect_left(begins, last_call) - 1
        # The forward intervals are disjoint, so only the last one that begins before `last_call`
        # can contain this interval.
        if place >= 0 and first_return < forward[place][1]:
            return False
    return True


def _in_order(
    blocks: Sequence[Block], bounds: Sequence[tuple[float, float]], calls: Sequence[float]
) -> list[int]:
    # If A must be before B, then f(A) < s(B) and s(A) <= f(B), so the pair of A is smaller.
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
    """Merge the linearizations `orders` of several independent objects into one linearization.

    Each operation gets a time: the latest call among itself and the operations before it in the
    linearization of its object. This time is between the call and the return of the operation. The
    merged linearization is sorted by these times. `calls` contains the call of each operation.
    """
    points: list[tuple[float, int]] = []
    for order in orders:
        latest = -math.inf
        for n in order:
            latest = max(latest, calls[n])
            points.append((latest, n))
    points.sort(key=lambda point: point[0])
    return [n for _, n in points]
