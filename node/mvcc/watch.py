"""Watching keys: every event from a revision on, in order, each once, none left out.

A watcher is *synced* when all events before the store's next revision are delivered or
wait in its buffer; then `WatchHub.notify` adds to the buffer as transactions end. If
the buffer is full the watcher becomes *unsynced*: nothing more is added, and when its
consumer has emptied the buffer it reads what it missed from the backend, in pieces,
until it has caught up. So is a watcher from an old revision served. A slow consumer
costs memory up to its buffer's limit and time of its own; it loses nothing, unless
compaction overtakes it, which cancels it with the compacted revision.

The events of one revision are always in one batch.

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
"""How many revisions one step of catching up reads, between which other tasks run."""


class History(Protocol):
    """What a hub needs of the store."""

    @property
    def revision(self) -> int: ...

    @property
    def compacted_revision(self) -> int: ...

    def changes(self, first: int, behind: int) -> Iterator[Event]:
        """All changes of revisions `first` up to, not including, `behind`, in order."""
        ...

    def get_at(self, key: bytes, revision: int) -> KeyValue | None:
        """Raises CompactedRevision."""
        ...


class WatchBatch(msgspec.Struct, frozen=True):
    """`events`: of whole revisions, in order. `revision`: all of the watcher's events up
    to here are in this batch or in earlier ones. `compact_revision` other than 0: the
    watcher is cancelled, for what comes next was compacted; it was the last batch."""

    events: tuple[Event, ...]
    revision: int
    compact_revision: int = 0


class Watcher:
    """One watch of an interval of keys, read by one consumer. Made by `WatchHub.create`."""

    __slots__ = (
        "_buffer",
        "_buffer_bytes",
        "_buffer_bytes_max",
        "_hub",
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
        "synced",
    )

    def __init__(
        self,
        hub: WatchHub,
        watcher_id: int,
        key: bytes,
        range_end: bytes,
        next_revision: int,
        buffer_bytes_max: int,
    ) -> None:
        self.id = watcher_id
        self.key = key
        self.range_end = range_end
        self.prev_kv = False
        self.no_put = False
        self.no_delete = False
        self.progress_notify = False
        self.next_revision = next_revision
        """The first revision whose events are neither delivered nor in the buffer, when
        unsynced; when synced, no event before it is wanted."""
        self.synced = False
        self.cancelled = False
        self._hub = hub
        self._buffer: deque[tuple[WatchBatch, int]] = deque()
        self._buffer_bytes = 0
        self._buffer_bytes_max = buffer_bytes_max
        self._wake = asyncio.Event()

    async def next_batch(self) -> WatchBatch | None:
        """Wait for events; None once the watcher was cancelled by `WatchHub.cancel`."""
        while True:
            if self._buffer:
                batch, size = self._buffer.popleft()
                self._buffer_bytes -= size
                return batch
            if self.cancelled:
                return None
            if self.synced:
                self._wake.clear()
                await self._wake.wait()
                continue
            caught_up = self._hub.catch_up(self)
            if caught_up is not None:
                return caught_up
            # No clock is asked: this only lets other tasks run between two pieces.
            await asyncio.sleep(0)

    def wants(self, event: Event) -> bool:
        """Whether its filters let `event` of its interval pass."""
        if event.kv.mod_revision < self.next_revision:
            return False
        return not (self.no_put if event.type is EventType.PUT else self.no_delete)

    def offer(self, batch: WatchBatch) -> bool:
        """Put `batch` into the buffer; False if it is full. One that is empty takes a
        batch of any size: a revision is never split."""
        size = sum(event_bytes(event) for event in batch.events)
        if self._buffer and self._buffer_bytes + size > self._buffer_bytes_max:
            return False
        self._buffer.append((batch, size))
        self._buffer_bytes += size
        self._wake.set()
        return True

    def delivered_revision(self, current: int) -> int:
        """All its events up to here were returned by `next_batch`."""
        if self._buffer:
            return self._buffer[0][0].events[0].kv.mod_revision - 1
        return current if self.synced else self.next_revision - 1

    def end(self) -> None:
        self.cancelled = True
        self._wake.set()


class WatchHub:
    """All watchers of one store. `notify` is called as each transaction ends."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._watchers: dict[int, Watcher] = {}
        self._by_key: dict[bytes, dict[int, Watcher]] = {}
        """Synced watchers of one key."""
        self._of_ranges: dict[int, Watcher] = {}
        """Synced watchers of more than one key; each event is held against each."""
        self._next_id = 0

    def __len__(self) -> int:
        return len(self._watchers)

    @property
    def slow(self) -> int:
        """How many watchers are not synced."""
        return sum(1 for watcher in self._watchers.values() if not watcher.synced)

    @property
    def listening(self) -> bool:
        """Whether any watcher is synced, so that events are worth gathering."""
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
    ) -> Watcher:
        """Watch the interval from `start_revision` on; 0, from the next revision on.

        A start before the compacted revision shows as the first batch. `range_end` as
        in a range. `progress_notify` is kept for the API, which sends the notices.
        """
        current = self._history.revision
        watcher = Watcher(
            self, self._next_id, key, range_end, start_revision or current + 1, buffer_bytes_max
        )
        self._next_id += 1
        watcher.prev_kv = prev_kv
        watcher.no_put = no_put
        watcher.no_delete = no_delete
        watcher.progress_notify = progress_notify
        self._watchers[watcher.id] = watcher
        if watcher.next_revision > current:
            self._join(watcher)
        return watcher

    def cancel(self, watcher: Watcher) -> None:
        """No more events; the consumer's `next_batch` returns None once its buffer is
        empty. No error if it is cancelled already."""
        self._leave(watcher)
        self._watchers.pop(watcher.id, None)
        watcher.end()

    def progress(self, watcher: Watcher) -> int:
        """The revision up to which all events of `watcher` were delivered: that of the
        store if there is none to come from before it."""
        return watcher.delivered_revision(self._history.revision)

    def notify(self, revision: int, events: Sequence[Event]) -> None:
        """`events`: all changes of `revision`, in order, each with what was before it."""
        batches: dict[int, tuple[Watcher, list[Event]]] = {}
        for event in events:
            for watcher in self._watching(event.kv.key):
                if watcher.wants(event):
                    batches.setdefault(watcher.id, (watcher, []))[1].append(seen_by(watcher, event))
        for watcher, wanted in batches.values():
            if not watcher.offer(WatchBatch(tuple(wanted), revision)):
                self._leave(watcher)
                watcher.next_revision = revision

    def store_replaced(self, revision: int) -> None:
        """The store has become another's snapshot; it was at `revision` before. What
        came in between is read from the backend."""
        for watcher in self._watchers.values():
            if watcher.synced:
                self._leave(watcher)
                watcher.next_revision = max(watcher.next_revision, revision + 1)
                if watcher.next_revision > self._history.revision:
                    self._join(watcher)
                else:
                    watcher._wake.set()

    def catch_up(self, watcher: Watcher) -> WatchBatch | None:
        """Read one piece of what an unsynced watcher misses; None if nothing in it is
        for this watcher. It is synced once there is no more."""
        compacted = self._history.compacted_revision
        if watcher.next_revision < compacted:
            self.cancel(watcher)
            return WatchBatch((), self._history.revision, compacted)
        behind = min(watcher.next_revision + REVISIONS_AT_ONCE, self._history.revision + 1)
        events = tuple(
            self._with_previous(watcher, event)
            for event in self._history.changes(watcher.next_revision, behind)
            if contains(watcher.key, watcher.range_end, event.kv.key) and watcher.wants(event)
        )
        watcher.next_revision = max(watcher.next_revision, behind)
        if watcher.next_revision > self._history.revision:
            self._join(watcher)
        return WatchBatch(events, behind - 1) if events else None

    def _with_previous(self, watcher: Watcher, event: Event) -> Event:
        """As etcd: the key at the revision before, or nothing if that is compacted."""
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
        alike = self._by_key.get(watcher.key)
        if alike is not None:
            alike.pop(watcher.id, None)
            if not alike:
                del self._by_key[watcher.key]


def seen_by(watcher: Watcher, event: Event) -> Event:
    """Without the previous value unless it was asked for."""
    if watcher.prev_kv or event.previous is None:
        return event
    return Event(event.type, event.kv)


def event_bytes(event: Event) -> int:
    """About what an event in a buffer costs."""
    size = EVENT_OVERHEAD_BYTES + len(event.kv.key) + len(event.kv.value)
    return size + (len(event.previous.value) if event.previous is not None else 0)
