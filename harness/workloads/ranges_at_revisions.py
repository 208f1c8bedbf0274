"""Draws the revisions at which ranges read.

A revision is drawn as a distance, as in `Draft.revision_back`. The distance is the newest revision
that the client has seen, minus the revision to read. A negative distance gives a future revision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from splitbrain.checkers.model.request_parts import ranges
from splitbrain.harness.workloads.workload import Draft
from splitbrain.histories.kv import Range, Txn

RECENT_BACK_MAX = 30
OLDEST = 1_000_000
"""A distance larger than the newest revision of any run. A read at this distance is at revision 1,
which no longer exists after the first compaction."""
NEAR_FUTURE = 8
"""The largest distance into the near future. Such a revision may exist when the request is
executed."""
FAR_FUTURE = (200, 1000)


def draw_back(random: Random) -> int:
    """Draw the distance of a revision at which most reads succeed.

    Most revisions are so recent that a slow member may not have applied them yet. A few are
    revision 1, or in the near future.
    """
    draw = random.random()
    if draw < 0.05:
        return -random.randint(1, NEAR_FUTURE)
    if draw < 0.08:
        return OLDEST
    return int(RECENT_BACK_MAX * random.random() ** 3)


def draw_refused_back(random: Random) -> int:
    """Draw the distance of a future revision, or of revision 1. The store mostly refuses both."""
    draw = random.random()
    if draw < 0.3:
        return -random.randint(1, NEAR_FUTURE)
    return OLDEST if draw < 0.6 else -random.randint(*FAR_FUTURE)


def with_ranges_back(draft: Draft, draw: Callable[[Range], int | None]) -> Draft:
    """Return a copy of the transaction `draft` in which some ranges read at drawn revisions.

    `draw` is called with each range, and returns the distance of its revision. It returns None for
    a range that reads at the newest revision.
    """
    assert isinstance(draft.request, Txn)
    drawn = ((place, draw(one)) for place, one in enumerate(ranges(draft.request)))
    pairs = tuple((place, back) for place, back in drawn if back is not None)
    return replace(draft, ranges_back=pairs)
