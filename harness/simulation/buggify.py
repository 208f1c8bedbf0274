"""Makes rare conditions inside the members frequent (FoundationDB's BUGGIFY).

A rare condition is, for example, a full queue or a batch of one entry. The member's code calls
`world.buggify(point)` where such a condition could occur. If the call returns True, the member
behaves as if the condition had occurred. The argument names the condition. Each point is on or off
for the whole run. At a point that is off, the call never returns True.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from splitbrain.histories.random_stream import stream

POINT_ON_PERCENT = 50
"""In a run with rare conditions, each point in the code is on with this probability. At a point
that is off, the rare condition never occurs."""
FIRES_PERCENT = (2, 10, 25, 60)
"""The probability that a rare condition occurs at a visit of its point in the code. One of these
values is drawn for each point that is on in the run."""
LOSSY_FIRES_PERCENT_MAX = 25
LOSSY = ("a frame finds its queue full", "the inbox is full")
"""Points at which the member drops messages. The condition occurs at most at
`LOSSY_FIRES_PERCENT_MAX` percent of the visits, because a cluster that loses more messages makes no
progress."""
FIRST_VISITS = 6
FIRST_VISITS_FIRE_PERCENT = 50
"""At each of the first `FIRST_VISITS` visits of a point that is on, its rare condition occurs with
at least this probability. Otherwise a point that is reached rarely, such as the start of a member,
would have little effect."""


class _Point:
    """A place in the member's code at which a rare condition can occur in this run.

    The condition occurs at `percent` of the visits, and more often at the first visits.
    """

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
    """Decides, each time that a member reaches a point, whether the rare condition occurs.

    One object decides for all members of a run. If `on` is False, no condition ever occurs.
    `reached` is called with the name of the point each time that a condition occurs.
    """

    def __init__(self, seed: int, reached: Callable[[str], None], *, on: bool) -> None:
        self._seed = seed
        self.on = on
        self._points: dict[str, _Point | None] = {}
        self._reached = reached

    def fires(self, point: str) -> bool:
        """Return whether the rare condition occurs now that a member has reached `point`."""
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
