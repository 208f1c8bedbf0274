"""Implements the multi-version store: every change has a revision, and old revisions can be read.

The index of keys is in memory, and the values are in the backend. Each transaction writes both.

The *consistent index* is the index of the last log entry whose effect the store contains. The
backend makes it durable in the same batch as the writes of this entry. After a crash, the member
therefore applies the log from the next entry on, and applies no entry twice. This requires that
there is no await between the transaction of the entry and `set_consistent_index`.

The store uses three buckets of the backend. `key` contains a `KeyValue` for each change, by its
revision. `meta` contains the consistent index and the compacted revision. `lease` contains the
leases (`splitbrain.node.mvcc.lease_table`).

Source: etcd's server/storage/mvcc.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterator

from splitbrain.node.backend import BUCKETS, Backend
from splitbrain.node.mvcc.hash_kv import HashResult, hash_changes, hash_pairs
from splitbrain.node.mvcc.interval import end_of
from splitbrain.node.mvcc.key_index import KeyIndex
from splitbrain.node.mvcc.key_value import (
    Event,
    EventType,
    KeyValue,
    RangeResult,
    decode_key_value,
    encode_key_value,
)
from splitbrain.node.mvcc.lease_table import LeaseTable
from splitbrain.node.mvcc.operation_counts import OperationCounts
from splitbrain.node.mvcc.revision import (
    CompactedRevision,
    FutureRevision,
    Packed,
    backend_key,
    is_tombstone,
    main_of,
    pack,
    packed_from,
)
from splitbrain.node.mvcc.watch import WatchHub
from splitbrain.node.mvcc.write_transaction import WriteTransaction

FIRST_REVISION = 1
"""The revision of an empty store. The first change has revision 2."""
NOT_COMPACTED = -1
REMOVALS_AT_ONCE = 1000
KEYS = b"key"
"""The bucket of the changes of keys."""
META = b"meta"
"""The bucket of the store's own data."""
_CONSISTENT_INDEX = b"consistent_index"
SCHEDULED_COMPACTION = b"scheduled_compaction"
"""The key in `META` of the compacted revision."""
_INDEX_AND_TERM = struct.Struct(">QQ")
_REVISION = struct.Struct(">Q")


def applied_position(backend: Backend) -> tuple[int, int]:
    """Return term and index of the last log entry whose effect the store in `backend` contains."""
    index, term = _applied(backend)
    return term, index


def _applied(backend: Backend) -> tuple[int, int]:
    found = backend.get(META, _CONSISTENT_INDEX)
    return (0, 0) if found is None else _INDEX_AND_TERM.unpack(found)


class Store:
    """The multi-version store of one member. Its methods contain no await.

    `watches` contains its watchers, and `leases` its leases with their keys.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.counts = OperationCounts()
        self._index = KeyIndex()
        self.revision = FIRST_REVISION
        """The revision of the last transaction that changed something."""
        self._compacted = NOT_COMPACTED
        self.consistent_index = self.consistent_term = 0
        """The index and term of the last log entry whose effect the store contains."""
        self._writing = False
        self._changes = array("Q")
        """All changes that are not compacted, in the order of their revisions."""
        self._forgotten = array("Q")
        """The compacted changes that have to be removed from the backend. The first `_removed` of
        them are already removed."""
        self._removed = 0
        self.leases = LeaseTable(backend)
        self.watches = WatchHub(self)
        self._load()

    # --- state --------------------------------------------------------------------

    @property
    def compacted_revision(self) -> int:
        """The revision of the last compaction, or -1 if there was none.

        Earlier revisions cannot be read.
        """
        return self._compacted

    @property
    def changes_count(self) -> int:
        """The number of changes that are not compacted."""
        return len(self._changes)

    @property
    def keys_count(self) -> int:
        """The number of keys that exist now."""
        return len(self._index)

    def set_consistent_index(self, index: int, term: int) -> None:
        """Record that the store contains the effects of all log entries up to `index`.

        `term` is the term of the entry at `index`. The call may come before or after the writes of
        this entry, but there must be no await between the call and these writes.
        """
        self.consistent_index, self.consistent_term = index, term
        self._backend.put(META, _CONSISTENT_INDEX, _INDEX_AND_TERM.pack(index, term))

    # --- reading ------------------------------------------------------------------

    def get(self, key: bytes) -> KeyValue | None:
        """Return the key-value of `key` now, or None if the key does not exist."""
        packed = self._index.latest(key)
        return None if packed is None else self._value_at(packed)

    def get_at(self, key: bytes, revision: int) -> KeyValue | None:
        """Return the key-value of `key` at `revision`, or None if the key did not exist then.

        Raises CompactedRevision, FutureRevision.
        """
        self._check_revision(revision, self.revision)
        packed = self._index.at(key, revision)
        return None if packed is None else self._value_at(packed)

    def range(
        self,
        key: bytes,
        range_end: bytes = b"",
        *,
        revision: int = 0,
        limit: int = 0,
        count_only: bool = False,
    ) -> RangeResult:
        """Read at most `limit` keys (0: all) of an interval at `revision` (0 or less: now).

        With an empty `range_end` the interval contains only `key`. With the `range_end` b"\\0" it
        contains all keys from `key` on. With any other `range_end` it contains the keys from `key`
        up to, not including, `range_end`. Raises CompactedRevision, FutureRevision.
        """
        self.counts.ranges += 1
        return self.range_at(
            key,
            range_end,
            revision=revision,
            current=self.revision,
            limit=limit,
            count_only=count_only,
        )

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
        """Read a range as `range` does. `current` is the newest revision that may be read.

        Normally `current` is the store's revision. Inside a transaction that has made a change, it
        is the revision of the transaction, which is one higher.
        """
        self._check_revision(revision, current)
        at = None if revision <= 0 or revision == current else revision
        if not range_end:
            return self._range_of_one(key, at, current, count_only=count_only)
        end = end_of(key, range_end)
        if count_only:
            return RangeResult([], self._index.count(key, end, at), current)
        found, count = self._index.select(key, end, at, limit)
        return RangeResult([self._value_at(packed) for packed in found], count, current)

    def _range_of_one(
        self, key: bytes, at: int | None, current: int, *, count_only: bool
    ) -> RangeResult:
        packed = self._index.latest(key) if at is None else self._index.at(key, at)
        if packed is None:
            return RangeResult([], 0, current)
        return RangeResult([] if count_only else [self._value_at(packed)], 1, current)

    def changes(self, first: int, end: int) -> Iterator[Event]:
        """Yield the changes from revision `first` up to, not including, `end`, in order.

        Compacted changes are left out. The events have no previous values.
        """
        for packed in self._changes_between(pack(max(first, 0)), pack(end)):
            kind = EventType.DELETE if is_tombstone(packed) else EventType.PUT
            yield Event(kind, self._value_at(packed))

    def _changes_between(self, first: Packed, end: Packed) -> array[int]:
        """Return the changes from `first` up to, not including, `end`, in order.

        The list comes from memory, not from the backend. Reading a listed change that the backend
        has lost therefore raises an error. A list from the backend would omit this change silently.
        """
        return self._changes[bisect_left(self._changes, first) : bisect_left(self._changes, end)]

    def read_now(self, start: bytes, end: bytes | None) -> list[KeyValue]:
        """Return the keys from `start` up to, not including, `end` (None: no end).

        The result includes the changes of the current transaction.
        """
        return [self._value_at(packed) for packed in self._index.select(start, end, None)[0]]

    def _value_at(self, packed: Packed) -> KeyValue:
        return decode_key_value(self._backend.require(KEYS, backend_key(packed)))

    def _check_revision(self, revision: int, current: int) -> None:
        if revision > current:
            raise FutureRevision(revision, current)
        if 0 < revision < self._compacted:
            raise CompactedRevision(revision, self._compacted)

    # --- writing ------------------------------------------------------------------

    def write(self) -> WriteTransaction:
        """Begin a transaction.

        While the transaction is in progress, the store may only be used through it.
        """
        assert not self._writing, "a transaction is in progress; end it first"
        self._writing = True
        return WriteTransaction(self, self.revision + 1, watched=self.watches.listening)

    def record_change(self, kv: KeyValue, sub: int, *, tombstone: bool) -> None:
        """Write change number `sub` of a transaction into the index and the backend."""
        packed = pack(kv.mod_revision, sub, tombstone=tombstone)
        self._index.add(kv.key, packed)
        self._changes.append(packed)
        self.leases.attach(kv.key, kv.lease)
        self._backend.put(KEYS, backend_key(packed), encode_key_value(kv))

    def end_write(self, revision: int, events: list[Event]) -> None:
        """End a transaction: set the store's revision, and send `events` to the watchers."""
        self._writing = False
        self.revision = revision
        if events:
            self.watches.notify(revision, events)

    # --- compaction ---------------------------------------------------------------

    def compact(self, revision: int) -> None:
        """Remove the changes that no read at `revision` or later can return.

        Reads before `revision` fail from now on. This method removes the changes from the index.
        `remove_compacted` removes them from the backend later, in pieces, also after a restart.
        Raises CompactedRevision, FutureRevision.
        """
        if revision <= self._compacted:
            raise CompactedRevision(revision, self._compacted)
        if revision > self.revision:
            raise FutureRevision(revision, self.revision)
        self._compacted = revision
        self._backend.put(META, SCHEDULED_COMPACTION, _REVISION.pack(revision))
        self._forget()

    def _forget(self) -> None:
        rest = self._forgotten[self._removed :]
        self._removed = 0
        forgotten = self._index.compact(self._compacted)
        self._forgotten = rest + forgotten
        gone = frozenset(forgotten)
        self._changes = array("Q", (one for one in self._changes if one not in gone))

    @property
    def removals_pending(self) -> int:
        """The number of compacted changes that the backend still contains."""
        return len(self._forgotten) - self._removed

    def remove_compacted(self, limit: int = REMOVALS_AT_ONCE) -> int:
        """Remove up to `limit` compacted changes from the backend. Return how many are left.

        The backend flusher calls this method before each flush until no changes are left.
        """
        until = min(self._removed + limit, len(self._forgotten))
        for packed in self._forgotten[self._removed : until]:
            self._backend.delete(KEYS, backend_key(packed))
        self._removed = until
        if self._removed == len(self._forgotten):
            self._forgotten, self._removed = array("Q"), 0
        return self.removals_pending

    # --- hashes -------------------------------------------------------------------

    def hash_kv(self, revision: int = 0) -> HashResult:
        """Return a hash of all changes up to `revision` (0: now) that are not compacted.

        The hash is equal on members with the same history and the same compacted revision. The
        cost is linear in the number of changes. Raises CompactedRevision, FutureRevision.
        """
        self._check_revision(revision, self.revision)
        until = revision if revision > 0 else self.revision
        keys = (backend_key(packed) for packed in self._changes_between(0, pack(until + 1)))
        pairs = ((key, self._backend.require(KEYS, key)) for key in keys)
        return HashResult(hash_changes(pairs), self._compacted, until)

    def hash(self) -> int:
        """Return a hash of all data in the backend except the consistent index.

        The hash includes compacted changes that are not removed yet, so the hashes of two members
        can differ for a while.
        """
        crc = 0
        for bucket in BUCKETS:
            pairs = self._backend.range(bucket, b"")
            kept = (pair for pair in pairs if pair[0] != _CONSISTENT_INDEX)
            crc = hash_pairs(hash_pairs(crc, [(bucket, b"")]), kept)
        return crc

    # --- start and restore --------------------------------------------------------

    def restore(self) -> None:
        """Read the content of the backend again, after `Backend.replace_with` has replaced it.

        Watchers continue from their current revision.
        """
        before = self.revision
        self._load()
        self.watches.store_replaced(before)

    def _load(self) -> None:
        """Read the index, the revisions and the consistent index from the backend.

        The store's revision is the higher one of two revisions: that of the newest change in the
        backend, and the compacted revision. The compacted revision is higher if the compaction has
        removed the newest change.

        A crash can leave compacted changes in the backend. This method compacts the index again up
        to the compacted revision, which is durable before the first change is removed.
        """
        self._forgotten, self._removed = array("Q"), 0
        self._writing = False
        self.revision = FIRST_REVISION
        self.leases.load()
        self._index = KeyIndex.of(self._stored_changes())
        found = self._backend.get(META, SCHEDULED_COMPACTION)
        self._compacted = NOT_COMPACTED if found is None else _REVISION.unpack(found)[0]
        self.revision = max(self.revision, self._compacted)
        if self._compacted != NOT_COMPACTED:
            self._forget()
        self.consistent_index, self.consistent_term = _applied(self._backend)

    def _stored_changes(self) -> Iterator[tuple[bytes, Packed]]:
        """Yield the key of each stored change, and the change, in the order of the revisions.

        This also attaches the keys to their leases. At the end, it sets the store's revision to the
        revision of the last change.
        """
        self._changes = array("Q")
        packed = pack(FIRST_REVISION)
        for key, value in self._backend.range(KEYS, b""):
            packed = packed_from(key)
            self._changes.append(packed)
            kv = decode_key_value(value)
            self.leases.attach(kv.key, kv.lease)
            yield kv.key, packed
        self.revision = main_of(packed)
