"""A list as the value of a key: `1.1 2.1 | 2.5`, the elements that its last put added behind
the bar.

A store of values knows no appends: who appends writes the whole list anew. The bar says
which elements that put appended, also where it wrote over what it had not seen.
"""

from __future__ import annotations

BAR = "|"


def fresh(elements: list[str]) -> str:
    """A list that holds nothing but what is appended now."""
    return " ".join([BAR, *elements])


def extended(before: str, added: str) -> str:
    """The list `before` with the elements of `added`, a value of `fresh`, behind it."""
    return " ".join([*elements_of(before), added])


def elements_of(value: str) -> tuple[str, ...]:
    """All elements, in order."""
    return tuple(one for one in value.split() if one != BAR)


def added_by(value: str) -> tuple[str, ...]:
    """The elements that the put of `value` appended."""
    before, bar, behind = value.partition(BAR)
    return tuple((behind if bar else before).split())
