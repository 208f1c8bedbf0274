"""Decides whether intervals of keys cover another interval."""

from __future__ import annotations

from collections.abc import Iterable

Interval = tuple[str, str]
"""A key, and the end of the interval: "" for the key alone, "\\0" for all keys from this key on."""


def covers(intervals: Iterable[Interval], wanted: Interval) -> bool:
    """Return whether every key of the interval `wanted` is in at least one of `intervals`."""
    reached, end = wanted[0], _end(wanted)
    for key, last in sorted((key, _end((key, end))) for key, end in intervals):
        if key > reached:
            break
        reached = max(reached, last)
        if reached >= end:
            return True
    return False


def _end(interval: Interval) -> str:
    """Return the first key that comes after all keys of `interval`."""
    key, end = interval
    if end == "\0":
        return "\U0010ffff" * 64
    return end or key + "\0"
