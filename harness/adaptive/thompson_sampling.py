"""Learns which choices of a campaign succeed, and prefers these (Thompson sampling).

Each choice has a Beta distribution of its rate of success. To decide between choices, a rate is
drawn from each distribution, and the choice with the highest rate is taken. A choice that was
rarely tried has a wide distribution, so it is tried from time to time, too. Source: Thompson,
Biometrika 1933; Chapelle and Li, "An Empirical Evaluation of Thompson Sampling", NeurIPS 2011.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random

KEPT = 0.98
"""After each run, all earlier counts are multiplied by this factor, because a choice that was
successful at the beginning of a campaign may reach nothing new later."""


class Preferences:
    """The number of successes and failures of each choice. A choice is identified by a text."""

    def __init__(self) -> None:
        self._successes: dict[str, float] = {}
        self._failures: dict[str, float] = {}

    def draw(self, choice: str, random: Random) -> float:
        """Draw a rate of success for `choice`, from 0 to 1.

        The rate is drawn from the Beta distribution of the earlier successes and failures of
        `choice`.
        """
        return random.betavariate(
            1 + self._successes.get(choice, 0.0), 1 + self._failures.get(choice, 0.0)
        )

    def best(self, choices: Iterable[str], random: Random) -> str:
        """Return one of `choices`, at random, with a preference for those that were successful.

        A rate of success is drawn for each of them, and the one with the highest rate is returned.
        """
        return max(choices, key=lambda choice: self.draw(choice, random))

    def add(self, choices: Iterable[str], *, success: bool) -> None:
        """Count a success or a failure for each of `choices`, which were made for one run."""
        for counts in (self._successes, self._failures):
            for choice in counts:
                counts[choice] *= KEPT
        counts = self._successes if success else self._failures
        for choice in choices:
            counts[choice] = counts.get(choice, 0.0) + 1

    def rates(self) -> Iterator[tuple[float, float, str]]:
        """Yield for each choice its expected rate of success, its number of runs, and its text.

        Old runs count less than new ones, so the number of runs is not a whole number.
        """
        for choice in sorted({*self._successes, *self._failures}):
            success, failure = self._successes.get(choice, 0.0), self._failures.get(choice, 0.0)
            yield (1 + success) / (2 + success + failure), success + failure, choice
