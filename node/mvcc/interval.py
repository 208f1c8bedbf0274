"""Handles intervals of keys in the form of etcd's requests: a key and a `range_end`."""

from __future__ import annotations

FROM_KEY = b"\0"
"""The `range_end` of an interval that has no end."""


def end_of(key: bytes, range_end: bytes) -> bytes | None:
    """Return the first key after the interval, or None if the interval has no end.

    If `range_end` is empty, the interval contains only `key`.
    """
    if range_end == FROM_KEY:
        return None
    return range_end or key + b"\0"


def contains(key: bytes, range_end: bytes, candidate: bytes) -> bool:
    """Return whether the interval contains the key `candidate`."""
    if not range_end:
        return candidate == key
    return key <= candidate and (range_end == FROM_KEY or candidate < range_end)
