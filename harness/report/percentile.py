"""Computes percentiles by the nearest-rank method."""

from __future__ import annotations

from collections.abc import Sequence


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value v in `ordered` such that at least `share` of the values are <= v.

    `ordered` is ascending and not empty; `share` is between 0 and 1.
    """
    place = max(0, -int(-share * len(ordered) // 1) - 1)
    return ordered[min(place, len(ordered) - 1)]
