"""Chooses what a campaign tries next by the success of earlier choices (Thompson sampling).

Each choice has a Beta distribution of its rate of success. To decide between choices, a rate is
drawn from each distribution, and the highest rate wins. Choices that were tried seldom have a wide
distribution, so they are tried as well. Source: Thompson, Biometrika 1933; Chapelle and Li, "An
Empirical Evaluation of Thompson Sampling", NeurIPS 2011.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random

KEPT = 0.98
"""After each run, all earlier successes and failures are multiplied by this factor, because a
choice that reached much at the beginning of a campaign may reach nothing new later."""


class Preferences:
    """The successes and failures of each choice. A choice is identified by its text."""

    def __init__(self) -> None:
        self._successes: dict[str, float] = {}
        self._failures: dict[str, float] = {}

    def draw(self, choice: str, random: Random) -> float:
        """Draw a rate of success, from 0 to 1, from the distribution of `choice`."""
        return random.betavariate(
            1 + self._successes.get(choice, 0.0), 1 + self._failures.get(choice, 0.0)
        )

    def best(self, choices: Iterable[str], random: Random) -> str:
        """The choice with the highest drawn rate."""
        return max(choices, key=lambda choice: self.draw(choice, random))

    def add(self, choices: Iterable[str], *, success: bool) -> None:
        """Add the result of a run for which `choices` were made."""
        for counts in (self._successes, self._failures):
            for choice in counts:
                counts[choice] *= KEPT
        counts = self._successes if success else self._failures
        for choice in choices:
            counts[choice] = counts.get(choice, 0.0) + 1

    def rates(self) -> Iterator[tuple[float, float, str]]:
        """The expected rate of success, the number of runs that count, and each choice."""
        for choice in sorted({*self._successes, *self._failures}):
            success, failure = self._successes.get(choice, 0.0), self._failures.get(choice, 0.0)
            yield (1 + success) / (2 + success + failure), success + failure, choice
