"""Implements the replicated log: one list of entries in memory, and positions in it.

    compacted | applied ... applying ... committed ...            last
              | ......... durable ......... persisting ...        last

- `last_index >= committed >= applying >= applied`, and an entry up to `committed` is never
  replaced.
- Entries up to `applying` were handed out to be applied.
- Entries up to `persisting` were handed out to be written. Entries up to `durable` are known
  to be durable.
- Entries up to `compacted_index` are only in snapshots.

Source: etcd-io/raft, `log.go` and `log_unstable.go`. This log combines the storage and the unstable
entries of etcd-io/raft.
"""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.node.raft.errors import StateInvalid
from splitbrain.node.raft.message import Entry, Index, Position, Snapshot, SnapshotMetadata, Term


class Log:
    """The log of one member.

    `entries` are the durable entries after `snapshot`. The indexes `committed` and `applied` are at
    least the index of the snapshot, and at most the index of the last entry.

    Raises StateInvalid if these values contradict each other.
    """

    __slots__ = (
        "_compacted_term",
        "_entries",
        "applied",
        "apply_unstable",
        "applying",
        "applying_paused",
        "committed",
        "compacted_index",
        "durable",
        "last_index",
        "last_term",
        "pending_snapshot",
        "persisting",
        "snapshot",
        "snapshot_persisting",
    )

    def __init__(
        self,
        snapshot: SnapshotMetadata,
        entries: Sequence[Entry],
        committed: Index,
        applied: Index,
    ) -> None:
        _check_contiguous(snapshot, entries)
        self.snapshot = snapshot
        """The newest snapshot. A follower that needs compacted entries gets this snapshot."""
        self._entries: list[Entry] = list(entries)
        self.compacted_index: Index = snapshot.index
        self._compacted_term: Term = snapshot.term
        self.last_index: Index = snapshot.index + len(self._entries)
        self.last_term: Term = self._entries[-1].term if self._entries else snapshot.term
        # The stored commit index can be too old, because it is written without a sync. Applied
        # entries and the entries in a snapshot were certainly committed.
        committed = max(committed, applied, snapshot.index)
        if committed > self.last_index:
            raise StateInvalid(
                f"the log ends at entry {self.last_index}, but entry {committed} is committed"
                f" (applied: {applied}): the log has lost entries; remove the member, or restore"
                " its data"
            )
        self.committed: Index = committed
        self.applied: Index = max(applied, snapshot.index)
        self.applying: Index = self.applied
        self.durable: Index = self.last_index
        self.persisting: Index = self.last_index
        self.pending_snapshot: Snapshot | None = None
        """A received snapshot that replaces the log and is not durable yet."""
        self.snapshot_persisting = False
        self.apply_unstable = True
        """Whether committed entries are handed out to be applied before they are durable in this
        log."""
        self.applying_paused = False
        """Whether Raft hands out no committed entries now, until some of the earlier ones are
        applied."""

    # Reading

    @property
    def first_index(self) -> Index:
        """The index of the first entry in the log, or `last_index` + 1 if the log is empty."""
        return self.compacted_index + 1

    @property
    def durable_end(self) -> Position:
        """The term and index of the last entry that is known to be durable."""
        return self.term_at(self.durable) or 0, self.durable

    def term_at(self, index: Index) -> Term | None:
        """Return the term of the entry at `index`, or None if it is compacted or past the end."""
        at = index - self.compacted_index
        if at > 0:
            return self._entries[at - 1].term if index <= self.last_index else None
        return self._compacted_term if at == 0 else None

    def matches(self, index: Index, term: Term) -> bool:
        """Return whether this log knows that the entry at `index` has this `term`."""
        return self.term_at(index) == term

    def between(self, first: Index, last: Index) -> tuple[Entry, ...]:
        """Return the entries from `first` to `last`, both included."""
        assert first > self.compacted_index, f"{first} is compacted ({self.compacted_index})"
        assert last <= self.last_index, f"{last} is past the end ({self.last_index})"
        base = self.compacted_index + 1
        return tuple(self._entries[first - base : last - base + 1])

    def last_within(self, first: Index, last: Index, bytes_max: int) -> Index:
        """Return the last index up to which the entries from `first` on fit into `bytes_max`.

        Only the bytes of the payload are counted. The result is at least `first` and at most
        `last`.
        """
        entries = self._entries
        base = self.compacted_index + 1
        room = bytes_max
        for at in range(first - base, last - base + 1):
            room -= len(entries[at].data)
            if room < 0:
                return max(first, base + at - 1)
        return last

    def likely_match(self, index: Index, term: Term) -> tuple[Index, Term]:
        """Return the last position at which this log can agree with another log.

        `index` and `term` belong to an entry of the other log. The method searches this log from
        `index` backwards for an entry whose term is at most `term`. It returns the index and the
        term of this entry. The term is 0 if the log does not know it, for example because the entry
        is compacted.

        With this position, a leader skips a whole term of a diverged follower in one round (Raft
        paper, end of 5.3).

        Source: etcd-io/raft, `findConflictByTerm`.
        """
        while index > 0:
            own = self.term_at(index)
            if own is None:
                return index, 0
            if own <= term:
                return index, own
            index -= 1
        return 0, 0

    def find_conflict(self, entries: Sequence[Entry]) -> Index:
        """Return the index of the first of `entries` that is not in this log, or 0 if all are.

        An entry is in this log if the log's entry at its index has the same term.
        """
        for entry in entries:
            if not self.matches(entry.index, entry.term):
                return entry.index
        return 0

    # Appending

    def append(self, entries: Sequence[Entry]) -> None:
        """Append `entries` at their indexes.

        Entries that the log already has at these and later indexes are removed first. They must not
        be committed.
        """
        if not entries:
            return
        first = entries[0].index
        assert self.committed < first <= self.last_index + 1, (
            f"append at {first}: committed {self.committed}, last {self.last_index}"
        )
        if first <= self.last_index:
            self._truncate(first)
        self._entries.extend(entries)
        self.last_index += len(entries)
        self.last_term = entries[-1].term
        assert entries[-1].index == self.last_index, "entries to append have a gap"

    def _truncate(self, first: Index) -> None:
        del self._entries[first - self.compacted_index - 1 :]
        self.last_index = first - 1
        self.persisting = min(self.persisting, self.last_index)
        self.durable = min(self.durable, self.last_index)

    def commit_to(self, index: Index) -> bool:
        """Mark all entries up to `index` as committed.

        Returns False if they were committed before.
        """
        if index <= self.committed:
            return False
        assert index <= self.last_index, f"commit {index} past the end {self.last_index}"
        self.committed = index
        return True

    # Handing out

    @property
    def has_unpersisted(self) -> bool:
        """Whether some entries still have to be handed out for writing."""
        return self.persisting < self.last_index

    def take_unpersisted(self) -> tuple[Entry, ...]:
        """Return the entries that must be written to the WAL. Each entry is returned once."""
        if self.persisting == self.last_index:
            return ()
        entries = self.between(self.persisting + 1, self.last_index)
        self.persisting = self.last_index
        return entries

    def persisted_to(self, index: Index) -> None:
        """Record that the entries handed out up to `index` are durable.

        If an entry was replaced after it was handed out, `persisting` is before this entry. Entries
        after `persisting` are not recorded as durable.
        """
        self.durable = max(self.durable, min(index, self.persisting))

    def stable_to(self, index: Index, term: Term) -> None:
        """Record that the log is durable up to the entry at `index`, if it still has this `term`.

        The caller guarantees that no write in progress can replace this entry on the disk.
        """
        if self.durable < index <= self.last_index and self.matches(index, term):
            self.durable = index
            self.persisting = max(self.persisting, index)

    @property
    def appliable(self) -> Index:
        """The index up to which entries may be handed out to be applied."""
        return self.committed if self.apply_unstable else min(self.committed, self.durable)

    @property
    def has_unapplied(self) -> bool:
        """Whether committed entries can be handed out to be applied."""
        return (
            self.applying < self.appliable
            and self.pending_snapshot is None
            and not self.applying_paused
        )

    def take_unapplied(self, bytes_max: int) -> tuple[Entry, ...]:
        """Return committed entries that were not handed out yet, up to `bytes_max` of payload.

        Returns () while a leader's snapshot is not durable yet, because the snapshot must be
        applied before later entries.
        """
        if not self.has_unapplied:
            return ()
        first = self.applying + 1
        self.applying = self.last_within(first, self.appliable, bytes_max)
        return self.between(first, self.applying)

    def applied_to(self, index: Index) -> None:
        """Record that the entries up to `index` are applied."""
        # The entries may have been replaced by a snapshot while they were being applied.
        self.applied = max(self.applied, index)
        assert self.applied <= self.committed, f"applied {index}, committed {self.committed}"

    # Snapshots

    def restore(self, snapshot: Snapshot) -> None:
        """Replace the whole log by `snapshot`, which is not durable yet."""
        metadata = snapshot.metadata
        assert metadata.index > self.committed, "the snapshot is older than the commit index"
        self.snapshot = metadata
        self.pending_snapshot = snapshot
        self.snapshot_persisting = False
        self._entries = []
        self.compacted_index = metadata.index
        self._compacted_term = metadata.term
        self.last_index = metadata.index
        self.last_term = metadata.term
        self.committed = metadata.index
        self.applying = metadata.index
        self.persisting = metadata.index
        self.durable = metadata.index

    @property
    def has_unpersisted_snapshot(self) -> bool:
        """Whether a received snapshot still has to be handed out for writing."""
        return self.pending_snapshot is not None and not self.snapshot_persisting

    def take_snapshot(self) -> Snapshot | None:
        """Return the received snapshot that must be made durable, or None.

        It is returned only once.
        """
        if not self.has_unpersisted_snapshot:
            return None
        self.snapshot_persisting = True
        return self.pending_snapshot

    def snapshot_persisted(self, snapshot: Snapshot) -> None:
        """Record that a received snapshot is durable, and that the state machine contains it."""
        self.applied_to(snapshot.metadata.index)
        if self.pending_snapshot is snapshot:
            self.pending_snapshot = None
            self.snapshot_persisting = False

    def remember_snapshot(self, metadata: SnapshotMetadata) -> None:
        """Use the snapshot with this `metadata` for followers that need compacted entries."""
        self.snapshot = metadata

    def compact(self, index: Index) -> None:
        """Remove the entries up to `index` from the log.

        Raises StateInvalid if no snapshot contains them, or if they are not applied.
        """
        if index <= self.compacted_index:
            return
        if index > min(self.snapshot.index, self.applied):
            raise StateInvalid(
                f"cannot compact up to {index}: the newest snapshot is at {self.snapshot.index},"
                f" and entries up to {self.applied} are applied; create a snapshot at {index} or"
                " later first"
            )
        term = self.term_at(index)
        assert term is not None
        del self._entries[: index - self.compacted_index]
        self.compacted_index = index
        self._compacted_term = term


def _check_contiguous(snapshot: SnapshotMetadata, entries: Sequence[Entry]) -> None:
    index, term = snapshot.index, snapshot.term
    for entry in entries:
        if entry.index != index + 1 or entry.term < term:
            raise StateInvalid(
                f"entry {entry.index} of term {entry.term} follows {index} of term {term}:"
                " expected the next index, and a term that does not decrease"
            )
        index, term = entry.index, entry.term
