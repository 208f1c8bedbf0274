"""Implements transactions that change the store. All changes of one transaction share a revision.

There must be no await between `Store.write()` and `end()`. Otherwise another task could read half
of the transaction, or a flush of the backend could make half of it durable.
"""

from __future__ import annotations

from typing import Protocol

from splitbrain.node.mvcc.interval import end_of
from splitbrain.node.mvcc.key_value import (
    Event,
    EventType,
    KeyValue,
    RangeResult,
    create_revision_of,
    version_after_put,
)
from splitbrain.node.mvcc.operation_counts import OperationCounts


class WritableStore(Protocol):
    """The methods of `Store` that a write transaction calls."""

    counts: OperationCounts

    def get(self, key: bytes) -> KeyValue | None:
        """Return the key as it is now, including the changes of this transaction."""
        ...

    def read_now(self, start: bytes, end: bytes | None) -> list[KeyValue]:
        """Return the keys from `start` up to, not including, `end` (None: no end).

        The result includes the changes of this transaction.
        """
        ...

    def range_at(
        self,
        key: bytes,
        range_end: bytes,
        *,
        revision: int,
        current: int,
        limit: int,
        count_only: bool,
    ) -> RangeResult:
        """Read a range as `Store.range` does. `current` is the newest revision that may be read."""
        ...

    def record_change(self, kv: KeyValue, sub: int, *, tombstone: bool) -> None:
        """Write change number `sub` of the transaction into the index and the backend."""
        ...

    def end_write(self, revision: int, events: list[Event]) -> None:
        """End the transaction: `revision` is the new revision, and watchers receive `events`."""
        ...


class WriteTransaction:
    """A transaction in progress. `Store.write` begins it, and `end` ends it."""

    __slots__ = ("_changes", "_events", "_main", "_operations", "_store", "_watched")

    def __init__(self, store: WritableStore, main: int, *, watched: bool) -> None:
        self._store = store
        self._main = main
        self._changes = 0
        self._operations = 0
        self._watched = watched
        self._events: list[Event] = []

    @property
    def revision(self) -> int:
        """The revision that the changes of this transaction get, if it has made any.

        Without a change, this is the store's revision.
        """
        return self._main if self._changes else self._main - 1

    def put(self, key: bytes, value: bytes, lease: int = 0) -> KeyValue | None:
        """Put a key, and return its previous key-value, or None if the key did not exist."""
        previous = self._store.get(key)
        kv = self.put_over(previous, key, value, lease)
        self._operations += 1
        counts = self._store.counts
        counts.puts += 1
        counts.put_bytes += len(key) + len(value)
        self._store.record_change(kv, self._changes, tombstone=False)
        self._changes += 1
        if self._watched:
            self._events.append(Event(EventType.PUT, kv, previous))
        return previous

    def put_over(
        self, previous: KeyValue | None, key: bytes, value: bytes, lease: int
    ) -> KeyValue:
        """Put a key, and return its new key-value.

        The caller has already read the previous key-value.
        """
        return KeyValue(
            key,
            create_revision_of(previous, self._main),
            self._main,
            version_after_put(previous),
            value,
            lease,
        )

    def delete_range(self, key: bytes, range_end: bytes = b"") -> list[KeyValue]:
        """Delete the keys of an interval, and return their previous key-values in key order."""
        deleted = self._store.read_now(key, end_of(key, range_end))
        self._operations += 1
        self._store.counts.deletes += 1
        for previous in deleted:
            kv = KeyValue(previous.key, mod_revision=self._main)
            self._store.record_change(kv, self._changes, tombstone=True)
            self._changes += 1
            if self._watched:
                self._events.append(Event(EventType.DELETE, kv, previous))
        return deleted

    def range(
        self,
        key: bytes,
        range_end: bytes = b"",
        *,
        revision: int = 0,
        limit: int = 0,
        count_only: bool = False,
    ) -> RangeResult:
        """Read a range as `Store.range` does, including the changes of this transaction.

        Raises CompactedRevision, FutureRevision.
        """
        self._operations += 1
        self._store.counts.ranges += 1
        return self._store.range_at(
            key,
            range_end,
            revision=revision,
            current=self.revision,
            limit=limit,
            count_only=count_only,
        )

    def end(self) -> int:
        """End the transaction and return the store's revision.

        If the transaction has made changes, the store's revision increases by one, and watchers are
        notified.
        """
        revision = self.revision
        if self._operations > 1:
            self._store.counts.transactions += 1
        self._store.end_write(revision, self._events)
        return revision
