"""Keys from one up to, not including, another, as etcd's requests say it."""

from __future__ import annotations

FROM_KEY = b"\0"
"""As the end of an interval: there is none."""


def end_of(key: bytes, range_end: bytes) -> bytes | None:
    """The first key behind the interval: None if it has no end. Empty `range_end`: the
    interval is `key` alone."""
    if range_end == FROM_KEY:
        return None
    return range_end or key + b"\0"


def contains(key: bytes, range_end: bytes, candidate: bytes) -> bool:
    if not range_end:
        return candidate == key
    return key <= candidate and (range_end == FROM_KEY or candidate < range_end)
