"""Keys in the order of their bytes, with intervals cut out quickly.

A plain list while there are few keys, for then nothing is quicker; sortedcontainers'
list once there are many, whose insertions do not move all that follows.
"""

from __future__ import annotations

from bisect import bisect_left, insort

from sortedcontainers import SortedList

FEW = 2000


def name_of(key: str) -> str:
    """A text that orders as `key`'s bytes do; `key` itself if it is ASCII."""
    if key.isascii():
        return key
    return key.encode("utf-8", "surrogateescape").decode("latin-1")


def key_of(name: str) -> str:
    """The key of which `name` is the name."""
    if name.isascii():
        return name
    return name.encode("latin-1").decode("utf-8", "surrogateescape")


class KeyOrder:
    """A set of keys, ordered."""

    def __init__(self) -> None:
        self._few: list[str] | None = []
        self._many = SortedList()
        self._strange = False
        """Whether some key was ever not ASCII. A bound that is not is then above all keys."""

    def add(self, key: str) -> None:
        """`key` must not be in it."""
        name = key
        if not key.isascii():
            name = name_of(key)
            self._strange = True
        if self._few is None:
            self._many.add(name)
            return
        insort(self._few, name)
        if len(self._few) > FEW:
            self._many, self._few = SortedList(self._few), None

    def remove(self, key: str) -> None:
        """`key` must be in it."""
        name = name_of(key)
        if self._few is None:
            self._many.remove(name)
        else:
            del self._few[bisect_left(self._few, name)]

    def between(self, begin: str, end: str, limit: int | None = None) -> list[str]:
        """Keys in `[begin, end)`, or from `begin` on if `end` is "\\0"; the first `limit`."""
        low, high = self._bounds(begin, end)
        if limit is not None:
            high = min(high, low + limit)
        names: list[str] = (self._many if self._few is None else self._few)[low:high]
        return [key_of(name) for name in names] if self._strange else names

    def count(self, begin: str, end: str) -> int:
        """How many keys are in the interval."""
        low, high = self._bounds(begin, end)
        return max(0, high - low)

    def _bounds(self, begin: str, end: str) -> tuple[int, int]:
        if self._strange:
            begin, end = name_of(begin), name_of(end)
        few = self._few
        if few is None:
            many = self._many
            low = many.bisect_left(begin)
            return low, len(many) if end == "\0" else many.bisect_left(end)
        low = bisect_left(few, begin)
        return low, len(few) if end == "\0" else bisect_left(few, end)
