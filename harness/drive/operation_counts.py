"""Counts the operations of a load while it runs."""

from __future__ import annotations

from collections import Counter

OUTCOMES = ("ok", "fail", "info")


class OperationCounts:
    """The number of operations that began, and the numbers of those that ended, by outcome."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))
        self.begun = 0

    @property
    def ended(self) -> int:
        return sum(self.outcomes.values())
