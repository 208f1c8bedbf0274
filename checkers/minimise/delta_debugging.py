"""Finds the smallest part of a list that still fails, by delta debugging.

Source: Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input" (2002).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def minimise(
    items: Sequence[T], fails: Callable[[list[T]], bool], calls_max: int = 500
) -> list[T]:
    """Return a minimal part of `items`, in the same order, for which `fails` is still true.

    Minimal means that no single item can be removed. `fails(items)` must be true. After
    `calls_max` calls of `fails`, the function returns the smallest failing part found so far,
    which may not be minimal.
    """
    part = list(items)
    chunk = max(1, len(part) // 2)
    calls = 0
    while part:
        smaller = False
        place = 0
        while place < len(part):
            if calls >= calls_max:
                return part
            rest = part[:place] + part[place + chunk :]
            calls += 1
            if fails(rest):
                part, smaller = rest, True
            else:
                place += chunk
        if chunk == 1 and not smaller:
            break
        chunk = max(1, chunk // 2)
    return part


def shortest_prefix(length: int, fails: Callable[[int], bool]) -> int:
    """Return the smallest number n for which `fails(n)` is true.

    `fails` must be true for `length`. If it is true for a number, it must also be true for all
    larger numbers. Small numbers are tried first. Therefore no tried number is much larger than
    twice the result.
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
