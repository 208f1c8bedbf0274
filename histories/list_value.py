"""A list as the value of a key, such as `1.1 2.1 | 2.5`.

A key-value store has no operation that appends, so a client that appends writes the whole list
again. The elements after the bar are those that the last put appended. Because of the bar, these
elements are known even if the put overwrote elements that its client had not read.
"""

from __future__ import annotations

BAR = "|"


def fresh(elements: list[str]) -> str:
    """The value of a list that contains only `elements`, all of them appended by one put."""
    return " ".join([BAR, *elements])


def extended(before: str, added: str) -> str:
    """The list `before` followed by the elements of `added`, which is a result of `fresh`."""
    return " ".join([*elements_of(before), added])


def elements_of(value: str) -> tuple[str, ...]:
    """All elements of the list, in order."""
    return tuple(one for one in value.split() if one != BAR)


def added_by(value: str) -> tuple[str, ...]:
    """The elements of the list that its last put appended."""
    before, bar, after = value.partition(BAR)
    return tuple((after if bar else before).split())
