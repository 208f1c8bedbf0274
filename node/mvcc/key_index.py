"""Implements the index of a store: an in-memory map from each key to the revisions of its changes.

The values are in the backend. For each key, the index contains the packed revisions of its changes,
in ascending order. A tombstone ends a generation of the key, and the next put starts a new
generation. The index does not store generations, because version and create revision are stored
with the value. The changes of a key are an int if there is only one, and otherwise an array with 8
bytes per change.

Source: etcd's server/storage/mvcc/key_index.go (its generations), for the semantics.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Any

from sortedcontainers import SortedDict

from splitbrain.node.mvcc.revision import (
    MAIN_SHIFT,
    Packed,
    Revision,
    is_tombstone,
    main_of,
    revision_of,
)

Changes = int | array  # type: ignore[type-arg]
"""The changes of one key that are not compacted: one packed change, or an array of type "Q"."""


class KeyIndex:
    """Stores, for each key, the revisions of its changes that are not compacted."""

    __slots__ = ("_changes", "_dead")

    def __init__(self) -> None:
        self._changes: Any = SortedDict()
        self._dead = 0
        """The number of deleted keys that still have changes that are not compacted."""

    def __len__(self) -> int:
        """Return the number of keys that exist now."""
        return len(self._changes) - self._dead

    @classmethod
    def of(cls, changes: Iterable[tuple[bytes, Packed]]) -> KeyIndex:
        """Create an index of `changes`, which must be in the order of their revisions.

        This is faster than calls of `add`, because the keys are sorted only once.
        """
        index = cls()
        index._changes = {}
        for key, packed in changes:
            index.add(key, packed)
        index._changes = SortedDict(index._changes)
        return index

    def add(self, key: bytes, packed: Packed) -> None:
        """Add a change: a put, or a tombstone for a key that exists.

        The revision of the change must be higher than all revisions in the index.
        """
        changes: Changes | None = self._changes.get(key)
        if changes is None:
            self._changes[key] = packed
            self._dead += packed & 1
            return
        if isinstance(changes, int):
            last = changes
            self._changes[key] = array("Q", (changes, packed))
        else:
            last = changes[-1]
            changes.append(packed)
        assert packed > last, f"{revision_of(packed)} after {revision_of(last)} of {key!r}"
        self._dead += (packed & 1) - (last & 1)

    def latest(self, key: bytes) -> Packed | None:
        """Return the last put of `key` as a packed change, or None if the key does not exist."""
        changes: Changes | None = self._changes.get(key)
        if changes is None:
            return None
        last: Packed = changes if isinstance(changes, int) else changes[-1]
        return None if is_tombstone(last) else last

    def at(self, key: bytes, main: int) -> Packed | None:
        """Return the put of `key` that was current at revision `main`, or None.

        None means that the key did not exist at this revision.
        """
        changes: Changes | None = self._changes.get(key)
        return None if changes is None else visible_at(changes, main)

    def select(
        self, start: bytes, end: bytes | None, main: int | None, limit: int = 0
    ) -> tuple[list[Packed], int]:
        """Find the keys from `start` up to, not including, `end` that existed at revision `main`.

        `end` None means no end, and `main` None means now. Returns two values:

        - a list of packed puts in key order: the current put of each key at revision `main`, for
          the first `limit` keys (0: all)
        - the number of all keys found
        """
        if main is None and not self._dead:
            return self._select_alive(start, end, limit)
        found: list[Packed] = []
        count = 0
        for packed in self._visible(start, end, main):
            count += 1
            if limit <= 0 or count <= limit:
                found.append(packed)
        return found, count

    def count(self, start: bytes, end: bytes | None, main: int | None) -> int:
        """Return how many keys of the interval [`start`, `end`) existed at `main` (None: now)."""
        if main is None and not self._dead:
            return self._count_alive(start, end)
        return sum(1 for _ in self._visible(start, end, main))

    def generations(self, key: bytes) -> list[list[Revision]]:
        """Return the revisions of a key's changes, as one list for each generation.

        A generation that ended contains its tombstone. This method is slow and is meant for tests.
        """
        generations: list[list[Revision]] = [[]]
        for packed in _as_array(self._changes.get(key, array("Q"))):
            generations[-1].append(revision_of(packed))
            if is_tombstone(packed):
                generations.append([])
        return generations if generations[-1] else generations[:-1]

    def compact(self, main: int) -> array[int]:
        """Remove the changes that no read at revision `main` or later can return.

        Returns the removed changes. The changes of one key are in the order of their revisions, and
        must be removed from the backend in this order. In another order, a crash after the removal
        of a tombstone could bring back a deleted key.
        """
        forgotten = array("Q")
        for key in list(self._changes):
            only = self._changes[key]
            if isinstance(only, int) and not is_tombstone(only):
                continue
            changes = _as_array(only)
            first = first_kept(changes, main)
            if not first:
                continue
            forgotten.extend(changes[:first])
            kept = changes[first:]
            if not kept:
                self._dead -= 1
                del self._changes[key]
            else:
                self._changes[key] = kept[0] if len(kept) == 1 else kept
        return forgotten

    def _visible(self, start: bytes, end: bytes | None, main: int | None) -> Iterator[Packed]:
        changes = self._changes
        for key in self._in_order(start, end):
            packed = self.latest(key) if main is None else visible_at(changes[key], main)
            if packed is not None:
                yield packed

    def _in_order(self, start: bytes, end: bytes | None) -> Iterator[bytes]:
        keys: Iterator[bytes] = self._changes.irange(start, end, (True, False))
        return keys

    def _select_alive(
        self, start: bytes, end: bytes | None, limit: int
    ) -> tuple[list[Packed], int]:
        """Do what `select` does for the present revision.

        The index must contain no deleted keys. Counting is then fast.
        """
        count = self._count_alive(start, end)
        found: list[Packed] = []
        for key in self._in_order(start, end):
            changes = self._changes[key]
            found.append(changes if isinstance(changes, int) else changes[-1])
            if len(found) == limit:
                break
        return found, count

    def _count_alive(self, start: bytes, end: bytes | None) -> int:
        if end is not None and end <= start:
            return 0
        first: int = self._changes.bisect_left(start)
        behind: int = len(self._changes) if end is None else self._changes.bisect_left(end)
        return behind - first


def _as_array(changes: Changes) -> array[int]:
    return array("Q", (changes,)) if isinstance(changes, int) else changes


def visible_at(changes: Changes, main: int) -> Packed | None:
    """Return the change that determines the value of a key at revision `main`.

    This is the last change at or before `main`. Returns None if there is no such change, or if it
    is a tombstone.
    """
    if isinstance(changes, int):
        last = changes
        if main_of(last) > main:
            return None
    else:
        position = bisect_left(changes, (main + 1) << MAIN_SHIFT) - 1
        if position < 0:
            return None
        last = changes[position]
    return None if is_tombstone(last) else last


def first_kept(changes: array[int], main: int) -> int:
    """Return the position of the first change of a key that a compaction at `main` keeps.

    The compaction keeps the last change at or before `main`, and all later changes. There is one
    exception: if that last change is a tombstone before `main`, it is removed, because no read can
    return it. A tombstone at `main` is kept, because a watch from `main` must deliver its event
    (etcd up to 3.5.15 dropped this tombstone).
    """
    position = bisect_left(changes, (main + 1) << MAIN_SHIFT) - 1
    if position < 0:
        return 0
    last = changes[position]
    return position + 1 if is_tombstone(last) and main_of(last) < main else position
