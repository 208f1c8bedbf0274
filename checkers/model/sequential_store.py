"""Contains a sequential key-value store like etcd's: its keys and leases at one revision.

`model/evaluation.py` computes the answer to a request, and the changes that the request makes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Protocol

from splitbrain.checkers.model.key_order import KeyOrder
from splitbrain.histories.kv import KeyValue
from splitbrain.histories.member_state import Change

Made = Sequence[KeyValue | str]
"""The changes of one revision, in order: the new key-value for a put, the key for a delete."""


def text_order(text: str) -> bytes:
    """Return the bytes of `text`, by which keys and values are compared."""
    return text.encode("utf-8", "surrogateescape")


def in_interval(key: str, begin: str, end: str) -> bool:
    """Return whether `key` is in the interval of a request.

    If `end` is empty, the interval is the key `begin` alone. If `end` is "\\0", it is all keys from
    `begin` on. Otherwise it is `[begin, end)`.
    """
    if not end:
        return key == begin
    if key.isascii():  # The order of texts and of their bytes is the same for ASCII keys.
        return key >= begin and (end == "\0" or key < end)
    name = text_order(key)
    return name >= text_order(begin) and (end == "\0" or name < text_order(end))


class State(Protocol):
    """The key-values of a store at `revision`."""

    @property
    def revision(self) -> int:
        """The revision of the state."""
        ...

    @property
    def compacted(self) -> int:
        """The revision to which the store is compacted. Reads of earlier revisions are refused."""

    def held(self, key: str) -> KeyValue | None:
        """Return the key-value of `key`, or None."""

    def interval(self, begin: str, end: str) -> list[KeyValue]:
        """Return the key-values in the interval of a request, in the order of keys."""


class NoPastError(Exception):
    """Raised if a past revision is read from a store that was created without `past`."""


class SequentialStore:
    """The key-values at `revision`. If `past` is true, also those at all earlier revisions."""

    def __init__(self, past: bool = True) -> None:
        self.revision = 1
        self.now: dict[str, KeyValue] = {}
        self.leases: dict[int, dict[str, None]] = {}
        """The keys that are attached to each lease."""
        self.compacted = 0
        """The revision to which the store is compacted. Reads of earlier revisions are refused. The
        caller sets it. No past key-values are removed."""
        self._order = KeyOrder()
        self._versions: dict[str, tuple[list[int], list[KeyValue | None]]] | None = None
        self._ever = KeyOrder()
        if past:
            self._versions = {}
        self._journal: list[tuple[str, KeyValue | None]] | None = None

    def apply(self, revision: int, changes: Iterable[Change]) -> None:
        """Set the revision of the store to `revision`, and apply `changes`, change log entries."""
        self.write(revision, made_by(revision, changes))

    def write(self, revision: int, made: Made) -> None:
        """Set the revision of the store to `revision`, and apply the changes `made`.

        `made` contains the new key-value for each put, and the key for each delete.
        """
        self.revision = revision
        now = self.now
        recorded = self._journal is not None or self._versions is not None
        for one in made:
            if isinstance(one, str):
                self._set(one, None)
                continue
            before = now.get(one.key)
            if recorded or before is None or before.lease or one.lease:
                self._set(one.key, one)
            else:
                now[one.key] = one

    def _set(self, key: str, held: KeyValue | None) -> None:
        before = self.now.get(key)
        if self._journal is not None:
            self._journal.append((key, before))
        self._replace(key, before, held)
        if self._versions is not None:
            self._remember(key, held)

    def _replace(self, key: str, before: KeyValue | None, held: KeyValue | None) -> None:
        if held is None:
            if before is None:
                return
            del self.now[key]
            self._order.remove(key)
        else:
            if before is None:
                self._order.add(key)
            self.now[key] = held
        if before is not None and before.lease:
            self.leases[before.lease].pop(key, None)
        if held is not None and held.lease:
            self.leases.setdefault(held.lease, {})[key] = None

    # --- back to an earlier state

    def mark(self) -> tuple[int, int]:
        """Return a mark of the present state, to which `undo` can return.

        From the first mark on, a journal records all writes.
        """
        if self._journal is None:
            self._journal = []
        return self.revision, len(self._journal)

    def undo(self, mark: tuple[int, int]) -> None:
        """Return to the state at `mark`. Later marks become invalid."""
        assert self._journal is not None
        self.revision, length = mark
        while len(self._journal) > length:
            key, before = self._journal.pop()
            self._replace(key, self.now.get(key), before)
            if self._versions is not None:
                revisions, holdings = self._versions[key]
                while revisions and revisions[-1] > self.revision:
                    del revisions[-1], holdings[-1]

    # --- keys and intervals

    def held(self, key: str) -> KeyValue | None:
        """Return the key-value of `key`, or None."""
        return self.now.get(key)

    def interval(self, begin: str, end: str) -> list[KeyValue]:
        """Return the key-values in the interval of a request, in the order of keys."""
        if not end:
            held = self.now.get(begin)
            return [] if held is None else [held]
        now = self.now
        return [now[key] for key in self._order.between(begin, end)]

    def first(self, begin: str, end: str, limit: int) -> list[KeyValue]:
        """Return the first `limit` key-values in `[begin, end)`."""
        now = self.now
        return [now[key] for key in self._order.between(begin, end, limit)]

    def keys(self, begin: str, end: str) -> list[str]:
        """Return the present keys in `[begin, end)`, in order."""
        return self._order.between(begin, end)

    def count(self, begin: str, end: str) -> int:
        """Return the number of present keys in `[begin, end)`."""
        return self._order.count(begin, end)

    # --- the past

    def _remember(self, key: str, held: KeyValue | None) -> None:
        assert self._versions is not None
        versions = self._versions.get(key)
        if versions is None:
            versions = self._versions[key] = ([], [])
            self._ever.add(key)
        revisions, holdings = versions
        if revisions and revisions[-1] == self.revision:
            holdings[-1] = held
        else:
            revisions.append(self.revision)
            holdings.append(held)

    def past(self, begin: str, end: str, revision: int) -> list[KeyValue]:
        """Return the key-values in the interval from `begin` to `end` at a past revision.

        Raises NoPastError if the store was created without `past`.
        """
        if self._versions is None:
            raise NoPastError
        found = []
        for key in [begin] if not end else self._ever.between(begin, end):
            if key in self._versions:
                revisions, holdings = self._versions[key]
                place = bisect_right(revisions, revision)
                held = holdings[place - 1] if place else None
                if held is not None:
                    found.append(held)
        return found

    def at(self, revision: int, compacted: int = 0) -> State:
        """Return the state at a past revision, with `compacted` as its compacted revision.

        Raises NoPastError if the store was created without `past`.
        """
        if self._versions is None:
            raise NoPastError
        return _PastState(self, revision, compacted)


class _PastState:
    """The state of `store` at a past revision. It is valid until the store undoes a write."""

    def __init__(self, store: SequentialStore, revision: int, compacted: int) -> None:
        self.revision = revision
        self.compacted = compacted
        self._store = store

    def held(self, key: str) -> KeyValue | None:
        found = self._store.past(key, "", self.revision)
        return found[0] if found else None

    def interval(self, begin: str, end: str) -> list[KeyValue]:
        return self._store.past(begin, end, self.revision)


def made_by(revision: int, changes: Iterable[Change]) -> list[KeyValue | str]:
    """Convert the changes of one revision from change log entries to the form `Made`.

    The result contains the new key-value for each put, and the key for each delete.
    """
    return [
        one.key
        if one.kind == "delete"
        else KeyValue(one.key, one.value, one.create_revision, revision, one.version, one.lease)
        for one in changes
    ]


def changes_of(revision: int, made: Made) -> list[Change]:
    """Convert the changes of `revision` from the form `Made` to change log entries.

    `made` contains the new key-value for each put, and the key for each delete.
    """
    return [
        Change(revision, "delete", one)
        if isinstance(one, str)
        else Change(
            revision, "put", one.key, one.value, one.create_revision, one.version, one.lease
        )
        for one in made
    ]
