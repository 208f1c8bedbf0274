"""A v3 key-value store at one revision: what each key holds, which lease holds which keys.

`splitbrain.checkers.model.evaluation` says what a request answers and changes here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from splitbrain.checkers.model.key_order import KeyOrder
from splitbrain.histories.kv import KeyValue
from splitbrain.histories.member_state import Change

Made = Sequence[KeyValue | str]
"""What one step changed, in order: of a put what the key then holds, of a delete the key."""


def text_order(text: str) -> bytes:
    """Keys are ordered, and values compared, by their bytes."""
    return text.encode("utf-8", "surrogateescape")


def in_interval(key: str, begin: str, end: str) -> bool:
    """Whether `key` is in a request's interval: one key, `[begin, end)`, or all from `begin` on."""
    if not end:
        return key == begin
    if key.isascii():  # which any text is above or below as its bytes are
        return key >= begin and (end == "\0" or key < end)
    name = text_order(key)
    return name >= text_order(begin) and (end == "\0" or name < text_order(end))


class NoPastError(Exception):
    """The past was asked for of a store that was made without."""


class SequentialStore:
    """Keys and their values at `revision`; with `past`, at all revisions before it too."""

    def __init__(self, past: bool = True) -> None:
        self.revision = 1
        self.now: dict[str, KeyValue] = {}
        self.leases: dict[int, dict[str, None]] = {}
        """Which keys go when a lease ends."""
        self._order = KeyOrder()
        self._versions: dict[str, tuple[list[int], list[KeyValue | None]]] | None = None
        self._ever = KeyOrder()
        if past:
            self._versions = {}
        self._journal: list[tuple[str, KeyValue | None]] | None = None

    def apply(self, revision: int, changes: Iterable[Change]) -> None:
        """Move on to `revision`, at which `changes` were made."""
        self.write(revision, made_by(revision, changes))

    def write(self, revision: int, made: Made) -> None:
        """Move on to `revision`, at which `made` was made."""
        self.revision = revision
        for one in made:
            if isinstance(one, str):
                self._set(one, None)
            else:
                self._set(one.key, one)

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
        """What `undo` returns to. From the first mark on, all that is written is journalled."""
        if self._journal is None:
            self._journal = []
        return self.revision, len(self._journal)

    def undo(self, mark: tuple[int, int]) -> None:
        """Back to the state at `mark`; later marks mean nothing any more."""
        assert self._journal is not None
        self.revision, length = mark
        while len(self._journal) > length:
            key, before = self._journal.pop()
            self._replace(key, self.now.get(key), before)
            if self._versions is not None:
                revisions, holdings = self._versions[key]
                while revisions and revisions[-1] > self.revision:
                    del revisions[-1], holdings[-1]

    # --- intervals

    def interval(self, begin: str, end: str) -> list[KeyValue]:
        """What the keys of a request's interval hold, in order."""
        if not end:
            held = self.now.get(begin)
            return [] if held is None else [held]
        now = self.now
        return [now[key] for key in self._order.between(begin, end)]

    def first(self, begin: str, end: str, limit: int) -> list[KeyValue]:
        """What the first `limit` keys of `[begin, end)` hold."""
        now = self.now
        return [now[key] for key in self._order.between(begin, end, limit)]

    def keys(self, begin: str, end: str) -> list[str]:
        """Keys in `[begin, end)` that are there now, in order."""
        return self._order.between(begin, end)

    def count(self, begin: str, end: str) -> int:
        """How many keys of `[begin, end)` are there now."""
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
        """What the keys of the interval held at `revision`. Raises NoPastError."""
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


def made_by(revision: int, changes: Iterable[Change]) -> list[KeyValue | str]:
    """What `changes`, of `revision`, leave of each key."""
    return [
        one.key
        if one.kind == "delete"
        else KeyValue(one.key, one.value, one.create_revision, revision, one.version, one.lease)
        for one in changes
    ]


def changes_of(revision: int, made: Made) -> list[Change]:
    """The other way round, as a change log tells of it."""
    return [
        Change(revision, "delete", one)
        if isinstance(one, str)
        else Change(
            revision, "put", one.key, one.value, one.create_revision, one.version, one.lease
        )
        for one in made
    ]


