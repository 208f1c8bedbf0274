"""The smallest part of a thing that still fails, by delta debugging.

Source: Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input" (2002).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def minimise(
    items: Sequence[T], fails: Callable[[list[T]], bool], asked_max: int = 500
) -> list[T]:
    """A part of `items`, in their order, that still `fails` though no smaller step down does.

    `fails(items)` must hold. With `asked_max` questions asked, the best part so far is
    returned: it fails, but may not be minimal.
    """
    part = list(items)
    chunk = max(1, len(part) // 2)
    asked = 0
    while part:
        smaller = False
        place = 0
        while place < len(part):
            if asked >= asked_max:
                return part
            rest = part[:place] + part[place + chunk :]
            asked += 1
            if fails(rest):
                part, smaller = rest, True
            else:
                place += chunk
        if chunk == 1 and not smaller:
            break
        chunk = max(1, chunk // 2)
    return part


def shortest_prefix(length: int, fails: Callable[[int], bool]) -> int:
    """The least n with `fails(n)`, where `fails` holds of `length` and of all above the least.

    Asks of short ones first, so that no question is about much more than twice the answer.
    """
    low, high = 0, min(1, length)
    while high < length and not fails(high):
        low, high = high + 1, min(2 * high, length)
    while low < high:
        middle = (low + high) // 2
        if fails(middle):
            high = middle
        else:
            low = middle + 1
    return low
