"""Which changes each key has seen: the part of the store that is held in memory.

Values stay in the backend; a key's history here is the packed revisions of its
changes, ascending. A tombstone ends a generation, and the next put begins another, so
generations need no structure of their own: version and create revision stand with the
value. Most keys are put once; their history is one int, others' an array of 8 bytes a
change.

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
"""All changes of one key that are kept: one, or an array of type "Q"."""


class KeyIndex:
    __slots__ = ("_changes", "_dead")

    def __init__(self) -> None:
        self._changes: Any = SortedDict()
        self._dead = 0
        """Keys that are deleted now, and kept for those who look back."""

    def __len__(self) -> int:
        """Keys that exist now."""
        return len(self._changes) - self._dead

    @classmethod
    def of(cls, changes: Iterable[tuple[bytes, Packed]]) -> KeyIndex:
        """All `changes`, in the order of their revisions: as `add` of each, but the keys
        are sorted once."""
        index = cls()
        index._changes = {}
        for key, packed in changes:
            index.add(key, packed)
        index._changes = SortedDict(index._changes)
        return index

    def add(self, key: bytes, packed: Packed) -> None:
        """A change later than all before: a put, or a tombstone for a key that is there."""
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
        """The put that `key` stands at now; None if it does not exist."""
        changes: Changes | None = self._changes.get(key)
        if changes is None:
            return None
        last: Packed = changes if isinstance(changes, int) else changes[-1]
        return None if is_tombstone(last) else last

    def at(self, key: bytes, main: int) -> Packed | None:
        """The put that `key` stood at when the store was at revision `main`."""
        changes: Changes | None = self._changes.get(key)
        return None if changes is None else visible_at(changes, main)

    def select(
        self, start: bytes, end: bytes | None, main: int | None, limit: int = 0
    ) -> tuple[list[Packed], int]:
        """Of the keys from `start` up to `end` that existed at `main` (None: now), in key
        order: where the first `limit` stood (0: all), and how many there are."""
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
        if main is None and not self._dead:
            return self._count_alive(start, end)
        return sum(1 for _ in self._visible(start, end, main))

    def keys_now(self, start: bytes, end: bytes | None) -> list[tuple[bytes, Packed]]:
        """The keys that exist now, and where they stand."""
        pairs = ((key, self.latest(key)) for key in self._in_order(start, end))
        return [(key, packed) for key, packed in pairs if packed is not None]

    def generations(self, key: bytes) -> list[list[Revision]]:
        """A key's changes, a list for each of its lives; a life that ended ends with its
        tombstone. To look at, not to work with."""
        lives: list[list[Revision]] = [[]]
        for packed in _as_array(self._changes.get(key, array("Q"))):
            lives[-1].append(revision_of(packed))
            if is_tombstone(packed):
                lives.append([])
        return lives if lives[-1] else lives[:-1]

    def compact(self, main: int) -> array[int]:
        """Forget what nobody sees who looks at revision `main` or later.

        Returns the changes forgotten, those of a key in their order: to be removed from
        the backend in that order, or a crash on the way would bring back a deleted key.
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
        """All keys exist, so that counting needs no look at each."""
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
    """The last change at or before `main`, unless it is a tombstone."""
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
    """The position of the first change that outlives a compaction at `main`.

    That is the last one at or before `main`. If it is a tombstone from before, nobody
    will see it again; but one at `main` itself is an event of a revision that may still
    be watched (etcd up to 3.5.15 dropped it).
    """
    position = bisect_left(changes, (main + 1) << MAIN_SHIFT) - 1
    if position < 0:
        return 0
    last = changes[position]
    return position + 1 if is_tombstone(last) and main_of(last) < main else position
