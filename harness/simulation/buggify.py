"""Makes rare conditions inside the members frequent (FoundationDB's BUGGIFY).

A rare condition is, for example, a full queue or a batch of one entry. The member's code has a
point for each condition. At this point it asks whether it should behave as if the condition
occurred. The point has the name of the condition, and is on or off for a whole run.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from splitbrain.histories.random_stream import stream

POINT_ON_PERCENT = 50
"""The probability that a point is on in a run with rare conditions."""
FIRES_PERCENT = (2, 10, 25, 60)
"""The probabilities that a visit of a point fires. One of them is drawn for each point that is
on."""
LOSSY_FIRES_PERCENT_MAX = 25
LOSSY = ("a frame finds its queue full", "the inbox is full")
"""Points that lose messages. They fire in at most `LOSSY_FIRES_PERCENT_MAX` percent of their
visits, because a cluster that loses more messages makes no progress."""
FIRST_VISITS = 6
FIRST_VISITS_FIRE_PERCENT = 50
"""Points that are reached rarely, such as member start, fire with at least this probability
on their first visits."""


class _Point:
    """A point that is on."""

    def __init__(self, random: Random, percent: int) -> None:
        self._random = random
        self._percent = percent
        self._visits = 0

    def fires(self) -> bool:
        self._visits += 1
        early = self._visits <= FIRST_VISITS
        percent = max(self._percent, FIRST_VISITS_FIRE_PERCENT) if early else self._percent
        return self._random.random() * 100 < percent


def _percent(random: Random, point: str) -> int:
    percent = random.choice(FIRES_PERCENT)
    return min(percent, LOSSY_FIRES_PERCENT_MAX) if point in LOSSY else percent


class Buggify:
    """Decides at each visit of a point whether the rare condition of the point occurs.

    One object decides for all members of a run. If `on` is False, no condition ever occurs.
    `reached` is called each time that a condition occurs, with "buggify: " and the point's name.
    """

    def __init__(self, seed: int, reached: Callable[[str], None], *, on: bool) -> None:
        self._seed = seed
        self.on = on
        self._points: dict[str, _Point | None] = {}
        self._reached = reached

    def fires(self, point: str) -> bool:
        """Return whether the rare condition occurs at this visit of `point`."""
        if not self.on:
            return False
        if point not in self._points:
            random = stream(self._seed, "buggify", point)
            on, percent = random.random() * 100 < POINT_ON_PERCENT, _percent(random, point)
            self._points[point] = _Point(random, percent) if on else None
        found = self._points[point]
        if found is None or not found.fires():
            return False
        self._reached(point)
        return True
