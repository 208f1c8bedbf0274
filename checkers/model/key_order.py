"""Stores a set of keys in the order of their bytes, with fast access to intervals.

Few keys are kept in a plain list, which is the fastest structure for them. Many keys are kept in a
`SortedList`, because an insertion into a long list moves all later elements.
"""

from __future__ import annotations

from bisect import bisect_left, insort

from sortedcontainers import SortedList

FEW = 2000


def name_of(key: str) -> str:
    """Return a string that sorts as the bytes of `key` do: `key` itself if it is ASCII."""
    if key.isascii():
        return key
    return key.encode("utf-8", "surrogateescape").decode("latin-1")


def key_of(name: str) -> str:
    """Return the key for which `name_of` returned `name`."""
    if name.isascii():
        return name
    return name.encode("latin-1").decode("utf-8", "surrogateescape")


class KeyOrder:
    """A set of keys in the order of their bytes."""

    def __init__(self) -> None:
        self._few: list[str] | None = []
        self._many = SortedList()
        self._non_ascii = False
        """True if a non-ASCII key was ever added. If not, every non-ASCII bound is above all keys,
        and bounds need no conversion."""

    def add(self, key: str) -> None:
        """Add `key`, which must not be in the set."""
        name = key
        if not key.isascii():
            name = name_of(key)
            self._non_ascii = True
        if self._few is None:
            self._many.add(name)
            return
        insort(self._few, name)
        if len(self._few) > FEW:
            self._many, self._few = SortedList(self._few), None

    def remove(self, key: str) -> None:
        """Remove `key`, which must be in the set."""
        name = name_of(key)
        if self._few is None:
            self._many.remove(name)
        else:
            del self._few[bisect_left(self._few, name)]

    def between(self, begin: str, end: str, limit: int | None = None) -> list[str]:
        """Return the keys in `[begin, end)`, or from `begin` on if `end` is "\\0".

        With `limit`, at most the first `limit` of these keys are returned.
        """
        low, high = self._bounds(begin, end)
        if limit is not None:
            high = min(high, low + limit)
        names: list[str] = (self._many if self._few is None else self._few)[low:high]
        return [key_of(name) for name in names] if self._non_ascii else names

    def count(self, begin: str, end: str) -> int:
        """Return the number of keys in `[begin, end)`, or from `begin` on if `end` is "\\0"."""
        low, high = self._bounds(begin, end)
        return max(0, high - low)

    def _bounds(self, begin: str, end: str) -> tuple[int, int]:
        if self._non_ascii:
            begin, end = name_of(begin), name_of(end)
        few = self._few
        if few is None:
            many = self._many
            low = many.bisect_left(begin)
            return low, len(many) if end == "\0" else many.bisect_left(end)
        low = bisect_left(few, begin)
        return low, len(few) if end == "\0" else bisect_left(few, end)
