"""Counts the operations of a load while it goes on."""

from __future__ import annotations

from collections import Counter

OUTCOMES = ("ok", "fail", "info")


class Tally:
    """One for each run."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))
        self.begun = 0

    @property
    def ended(self) -> int:
        return sum(self.outcomes.values())
