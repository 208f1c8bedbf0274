"""Delivers the events of watches: from a revision on, each event exactly once and in order.

A watcher is *synced* if all its events up to the store's revision are delivered or in its buffer.
`WatchHub.notify` adds events to the buffers of synced watchers when a transaction ends.

If the buffer of a watcher is full, the watcher becomes *unsynced*, and `notify` adds no more events
to its buffer. When the consumer has emptied the buffer, the watcher reads the missing events from
the backend, in pieces, until it has caught up. A watch from an old revision works in the same way.

A slow consumer therefore uses a limited amount of memory and loses no events. There is one
exception: if a compaction removes events that the watcher has not read yet, the watcher is
cancelled, and its last batch contains the compacted revision.

All events of one revision are in one batch.

Source: etcd's API guarantees for watch (ordered, unique, reliable, atomic, resumable,
bookmarkable), and its synced and unsynced groups (server/storage/mvcc/watchable_store.go).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec

from splitbrain.node.mvcc.interval import contains
from splitbrain.node.mvcc.key_value import Event, EventType, KeyValue

BUFFER_BYTES_MAX = 1 << 20
EVENT_OVERHEAD_BYTES = 256
REVISIONS_AT_ONCE = 256
"""The number of revisions that an unsynced watcher reads before it lets other tasks run."""


class History(Protocol):
    """The methods of the store that a `WatchHub` calls."""

    @property
    def revision(self) -> int: ...

    @property
    def compacted_revision(self) -> int: ...

    def changes(self, first: int, end: int) -> Iterator[Event]:
        """Yield the changes of the revisions from `first` up to, not including, `end`, in order."""
        ...

    def get_at(self, key: bytes, revision: int) -> KeyValue | None:
        """Return the key at `revision`, or None if it did not exist. Raises CompactedRevision."""
        ...


class WatchBatch(msgspec.Struct, frozen=True):
    """Events that are delivered to a watcher together.

    `events` contains all events of one or more revisions, in order. After this batch, the watcher
    has received all of its events up to `revision`. If `compact_revision` is not 0, this is the
    watcher's last batch: it is cancelled, because its next events are compacted.
    """

    events: tuple[Event, ...]
    revision: int
    compact_revision: int = 0


class Watcher:
    """A watch on an interval of keys, with one consumer. `WatchHub.create` creates it."""

    __slots__ = (
        "_buffer",
        "_buffer_bytes",
        "_buffer_bytes_max",
        "_hub",
        "_revisions_at_once",
        "_wake",
        "cancelled",
        "id",
        "key",
        "next_revision",
        "no_delete",
        "no_put",
        "prev_kv",
        "progress_notify",
        "range_end",
        "start_revision",
        "synced",
    )

    def __init__(
        self,
        *,
        hub: WatchHub,
        watcher_id: int,
        key: bytes,
        range_end: bytes,
        next_revision: int,
        buffer_bytes_max: int,
        revisions_at_once: int,
    ) -> None:
        self.id = watcher_id
        self.key = key
        self.range_end = range_end
        self.prev_kv = False
        self.no_put = False
        self.no_delete = False
        self.progress_notify = False
        self.start_revision = 0
        """The revision from which on the client wants events. 0 means from the next revision on."""
        self.next_revision = next_revision
        """The next revision to read, if the watcher is unsynced: events from there on are neither
        delivered nor in the buffer. A synced watcher ignores events before this revision."""
        self.synced = False
        self.cancelled = False
        self._hub = hub
        self._buffer: deque[tuple[WatchBatch, int]] = deque()
        self._buffer_bytes = 0
        self._buffer_bytes_max = buffer_bytes_max
        self._revisions_at_once = revisions_at_once
        self._wake = asyncio.Event()

    @property
    def waiting(self) -> int:
        """The number of batches of events in the buffer."""
        return len(self._buffer)

    async def ready(self) -> None:
        """Wait until there are events to deliver, or the watcher is cancelled."""
        while self.synced and not self._buffer and not self.cancelled:
            self._wake.clear()
            await self._wake.wait()

    async def next_batch(self) -> WatchBatch | None:
        """Wait for events, and return them.

        Returns None if the watcher was cancelled and no events are left.
        """
        while True:
            if self._buffer:
                batch, size = self._buffer.popleft()
                self._buffer_bytes -= size
                return batch
            if self.cancelled:
                return None
            if self.synced:
                await self.ready()
                continue
            caught_up = self._hub.catch_up(self)
            if caught_up is not None:
                return caught_up
            # Let other tasks run between two pieces. This sleep uses no clock.
            await asyncio.sleep(0)

    def wants(self, event: Event) -> bool:
        """Return whether the watcher's filters accept `event`.

        The caller has checked that the event's key is in the watcher's interval.
        """
        if event.kv.mod_revision < self.next_revision:
            return False
        return not (self.no_put if event.type is EventType.PUT else self.no_delete)

    def offer(self, batch: WatchBatch) -> bool:
        """Put `batch` into the buffer, or return False if the buffer has no room for it.

        An empty buffer accepts a batch of any size. A batch cannot be split, because the events of
        a revision must stay together.
        """
        size = sum(event_bytes(event) for event in batch.events)
        if self._buffer and self._buffer_bytes + size > self._buffer_bytes_max:
            return False
        self._buffer.append((batch, size))
        self._buffer_bytes += size
        self._wake.set()
        return True

    def delivered_revision(self, current: int) -> int:
        """Return the revision up to which `next_batch` has returned all events.

        `current` is the store's revision. It is the result if the watcher is synced and no events
        are waiting.
        """
        if self._buffer:
            return self._buffer[0][0].events[0].kv.mod_revision - 1
        return current if self.synced else self.next_revision - 1

    def end(self) -> None:
        """Mark the watcher as cancelled, and wake its consumer."""
        self.cancelled = True
        self._wake.set()


class WatchHub:
    """The watchers of one store. The store calls `notify` when a transaction ends."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._watchers: dict[int, Watcher] = {}
        self._by_key: dict[bytes, dict[int, Watcher]] = {}
        """The synced watchers that watch a single key, by this key."""
        self._of_ranges: dict[int, Watcher] = {}
        """The synced watchers of intervals. `notify` compares each event with each of their
        intervals."""
        self._next_id = 0

    def __len__(self) -> int:
        return len(self._watchers)

    @property
    def slow(self) -> int:
        """The number of watchers that are not synced."""
        return sum(1 for watcher in self._watchers.values() if not watcher.synced)

    @property
    def listening(self) -> bool:
        """Whether any watcher is synced. If there is none, transactions need not collect events."""
        return bool(self._by_key or self._of_ranges)

    def create(
        self,
        key: bytes,
        range_end: bytes = b"",
        *,
        start_revision: int = 0,
        prev_kv: bool = False,
        no_put: bool = False,
        no_delete: bool = False,
        progress_notify: bool = False,
        buffer_bytes_max: int = BUFFER_BYTES_MAX,
        revisions_at_once: int = 0,
    ) -> Watcher:
        """Create a watcher of an interval, from `start_revision` on (0: from the next revision on).

        - `range_end` has the same meaning as in a range.
        - With `prev_kv`, events contain the previous value.
        - With `no_put` or `no_delete`, events of this kind are left out.
        - `progress_notify` has no effect here. The API sends the progress notifications.
        - `buffer_bytes_max` limits the buffer.
        - `revisions_at_once` is the number of revisions that the watcher reads from the backend in
          one piece (0: `REVISIONS_AT_ONCE`).

        If `start_revision` is compacted, the first batch reports the compacted revision and cancels
        the watcher.
        """
        current = self._history.revision
        watcher = Watcher(
            hub=self, watcher_id=self._next_id, key=key, range_end=range_end,
            next_revision=start_revision or current + 1, buffer_bytes_max=buffer_bytes_max,
            revisions_at_once=revisions_at_once or REVISIONS_AT_ONCE,
        )
        self._next_id += 1
        watcher.start_revision = start_revision
        watcher.prev_kv = prev_kv
        watcher.no_put = no_put
        watcher.no_delete = no_delete
        watcher.progress_notify = progress_notify
        self._watchers[watcher.id] = watcher
        if watcher.next_revision > current:
            self._join(watcher)
        return watcher

    def cancel(self, watcher: Watcher) -> None:
        """Cancel the watcher. Cancelling it again has no effect.

        The buffer gets no more events. `next_batch` returns the events in the buffer, and then
        None.
        """
        self._leave(watcher)
        self._watchers.pop(watcher.id, None)
        watcher.end()

    def progress(self, watcher: Watcher) -> int:
        """Return the revision up to which `next_batch` has returned all events of `watcher`.

        If no event is waiting, the result is the store's revision.
        """
        return watcher.delivered_revision(self._history.revision)

    def notify(self, revision: int, events: Sequence[Event]) -> None:
        """Put `events` into the buffers of the watchers that want them.

        `events` are all changes of `revision`, in order, with previous values.
        """
        batches: dict[int, tuple[Watcher, list[Event]]] = {}
        for event in events:
            for watcher in self._watching(event.kv.key):
                if watcher.wants(event):
                    batches.setdefault(watcher.id, (watcher, []))[1].append(seen_by(watcher, event))
        for watcher, accepted in batches.values():
            if not watcher.offer(WatchBatch(tuple(accepted), revision)):
                self._leave(watcher)
                watcher.next_revision = revision

    def store_replaced(self, revision: int) -> None:
        """Continue all watches after a leader's snapshot has replaced the content of the store.

        `revision` is the store's revision before the replacement. The events after `revision` are
        in the new backend, and the watchers read them from there.
        """
        for watcher in self._watchers.values():
            if watcher.synced:
                self._leave(watcher)
                watcher.next_revision = max(watcher.next_revision, revision + 1)
                if watcher.next_revision > self._history.revision:
                    self._join(watcher)
                else:
                    watcher._wake.set()

    def catch_up(self, watcher: Watcher) -> WatchBatch | None:
        """Read the next piece of the events that an unsynced watcher is missing.

        Returns None if the piece contains no event for this watcher. After the last piece the
        watcher is synced. If the missing events are compacted, this method cancels the watcher and
        returns its last batch, which reports the compacted revision.
        """
        compacted = self._history.compacted_revision
        if watcher.next_revision < compacted:
            self.cancel(watcher)
            return WatchBatch((), self._history.revision, compacted)
        end = min(watcher.next_revision + watcher._revisions_at_once, self._history.revision + 1)
        events = tuple(
            self._with_previous(watcher, event)
            for event in self._history.changes(watcher.next_revision, end)
            if contains(watcher.key, watcher.range_end, event.kv.key) and watcher.wants(event)
        )
        watcher.next_revision = max(watcher.next_revision, end)
        if watcher.next_revision > self._history.revision:
            self._join(watcher)
        return WatchBatch(events, end - 1) if events else None

    def _with_previous(self, watcher: Watcher, event: Event) -> Event:
        """Return `event` with the previous value, if the watcher asked for previous values.

        The previous value stays None if it is compacted, as in etcd.
        """
        before = event.kv.mod_revision - 1
        if not watcher.prev_kv or before < self._history.compacted_revision or before < 1:
            return event
        return Event(event.type, event.kv, self._history.get_at(event.kv.key, before))

    def _watching(self, key: bytes) -> Iterator[Watcher]:
        yield from self._by_key.get(key, {}).values()
        for watcher in self._of_ranges.values():
            if contains(watcher.key, watcher.range_end, key):
                yield watcher

    def _join(self, watcher: Watcher) -> None:
        watcher.synced = True
        if watcher.range_end:
            self._of_ranges[watcher.id] = watcher
        else:
            self._by_key.setdefault(watcher.key, {})[watcher.id] = watcher

    def _leave(self, watcher: Watcher) -> None:
        watcher.synced = False
        self._of_ranges.pop(watcher.id, None)
        same_key = self._by_key.get(watcher.key)
        if same_key is not None:
            same_key.pop(watcher.id, None)
            if not same_key:
                del self._by_key[watcher.key]


def seen_by(watcher: Watcher, event: Event) -> Event:
    """Return `event`, with the previous value only if the watcher asked for previous values."""
    if watcher.prev_kv or event.previous is None:
        return event
    return Event(event.type, event.kv)


def event_bytes(event: Event) -> int:
    """Return the approximate size of an event in memory, in bytes."""
    size = EVENT_OVERHEAD_BYTES + len(event.kv.key) + len(event.kv.value)
    return size + (len(event.previous.value) if event.previous is not None else 0)
