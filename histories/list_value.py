"""Represents a list as the value of a key, such as `1.1 2.1 | 2.5`.

A key-value store has no operation that appends, so a client that appends writes the whole list
again. The elements after the bar are those that the last put appended. Because of the bar, these
elements are known even if the put overwrote elements that its client had not read.
"""

from __future__ import annotations

BAR = "|"


def fresh(elements: list[str]) -> str:
    """Return the value of a list that contains only `elements`, all of them appended by one put."""
    return " ".join([BAR, *elements])


def extended(before: str, added: str) -> str:
    """Return the list `before` followed by the elements of `added`, a result of `fresh`."""
    return " ".join([*elements_of(before), added])


def elements_of(value: str) -> tuple[str, ...]:
    """Return all elements of the list, in order."""
    return tuple(one for one in value.split() if one != BAR)


def added_by(value: str) -> tuple[str, ...]:
    """Return the elements of the list that its last put appended."""
    before, bar, after = value.partition(BAR)
    return tuple((after if bar else before).split())
