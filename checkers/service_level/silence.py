"""Finds silences: periods without a fault in which a member answers no attempt of one kind.

A silence consists of attempts of which none is served. They overlap or follow each other closely.
The silence ends when an attempt is served, when a fault begins, or when no attempt is made for
`IDLE_NS`: without an attempt, nothing shows whether the member would have answered.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from splitbrain.checkers.service_level.attempts import Attempt
from splitbrain.checkers.service_level.periods import Period

IDLE_NS = 1_000_000_000


class Silence(NamedTuple):
    """A period in which a member answered no attempt, and the attempts that began in it."""

    begin: int
    end: int
    attempts: Sequence[Attempt]
    is_last: bool
    """True if no attempt was served after the silence in the same period without faults."""


def silences(
    attempts: Sequence[Attempt], free: Period, longer_than_ns: int = 0
) -> Iterator[Silence]:
    """Yield the periods longer than `longer_than_ns` in which a member answered no attempt.

    `attempts` are those of one kind of operation through one member, in the order of their
    invocations. `free` is a period without faults. An attempt that began before this period is not
    part of a silence, because a fault may have delayed it. The answer to such an attempt ends a
    silence.
    """
    answers = sorted(
        one.end for one in attempts if one.served and free.begin <= one.end <= free.end
    )
    inside = [one for one in attempts if free.begin <= one.begin < free.end]
    if not inside:
        return
    begins = [one.begin for one in inside]
    latest_ends = list(accumulate((one.end for one in inside), max))
    before = free.begin
    for number, after in enumerate((*answers, min(free.end, latest_ends[-1]))):
        if after - before > longer_than_ns:
            first, last = bisect_right(begins, before), bisect_left(begins, after)
            pending_until = min(latest_ends[first - 1], after) if first else before
            for begin, end in _chains(inside[first:last], before, max(pending_until, before)):
                stop = min(end, after)
                if stop - begin > longer_than_ns:
                    chosen = inside[bisect_left(begins, begin):bisect_left(begins, stop)]
                    yield Silence(begin, stop, chosen, number == len(answers))
        before = after


def _chains(attempts: Sequence[Attempt], begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield periods in which attempts overlap, or follow each other within `IDLE_NS`.

    Earlier attempts, which are not in `attempts`, are pending from `begin` to `end`. The first
    period therefore begins at `begin`. If `begin` equals `end`, no earlier attempt is pending.
    """
    for one in attempts:
        if begin == end or one.begin - end > IDLE_NS:
            if begin < end:
                yield begin, end
            begin, end = one.begin, one.begin
        end = max(end, one.end)
    if begin < end:
        yield begin, end
