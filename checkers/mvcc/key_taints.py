"""Knows on which gaps the present key-value of each key depends.

A gap is a revision without a known writer (`mvcc/writer_search.py`).
"""

from __future__ import annotations

from collections.abc import Iterable

from splitbrain.checkers.model.key_order import KeyOrder

Gaps = int
"""A set of gaps: an integer in which bit n stands for gap number n."""


class KeyTaints:
    """The taint of each key: the gaps on which its present key-value depends.

    Each change is written to an undo log, so that the search can return to an earlier gap.
    """

    def __init__(self) -> None:
        self._taint: dict[str, Gaps] = {}
        self._tainted = KeyOrder()
        self._trail: list[tuple[str, Gaps]] = []

    def __bool__(self) -> bool:
        return bool(self._taint)

    @property
    def length(self) -> int:
        """The length of the undo log, for `undo`."""
        return len(self._trail)

    def of(self, key: str) -> Gaps:
        """Return the taint of `key`."""
        return self._taint.get(key, 0)

    def add(self, key: str, gaps: Gaps) -> None:
        """Add `gaps` to the taint of `key`."""
        self._set(key, self._taint.get(key, 0) | gaps)

    def fix(self, keys: Iterable[str]) -> None:
        """Remove the taints of `keys`, because their key-values are known."""
        for key in keys:
            if key in self._taint:
                self._set(key, 0)

    def fix_interval(self, key: str, end: str) -> None:
        """Remove the taints of all keys in `[key, end)`, or of `key` if `end` is empty."""
        self.fix(self._tainted.between(key, end) if end else (key,))

    def undo(self, length: int) -> None:
        """Undo all changes that were made since the undo log had this length."""
        while len(self._trail) > length:
            key, before = self._trail.pop()
            self._put(key, self._taint.get(key, 0), before)

    def _set(self, key: str, gaps: Gaps) -> None:
        before = self._taint.get(key, 0)
        if before != gaps:
            self._trail.append((key, before))
            self._put(key, before, gaps)

    def _put(self, key: str, before: Gaps, gaps: Gaps) -> None:
        if before == gaps:
            return
        if gaps:
            if not before:
                self._tainted.add(key)
            self._taint[key] = gaps
        else:
            del self._taint[key]
            self._tainted.remove(key)
