"""The replicated log: one list in memory, and marks on it.

    compacted | applied ... applying ... committed ...            last
              | ......... durable ......... persisting ...        last

- `last_index >= committed >= applying >= applied`, and no entry up to `committed` is
  ever replaced.
- Up to `persisting` was handed out to be written, up to `durable` is known to be.
- Everything up to `compacted_index` is only in snapshots.

Source: etcd-io/raft, `log.go` and `log_unstable.go`, whose two stores are one here.
"""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.node.raft.errors import StateInvalid
from splitbrain.node.raft.message import Entry, Index, Snapshot, SnapshotMetadata, Term


class Log:
    """`entries` are what stands durable after `snapshot`; `committed` and `applied` lie
    between the snapshot and the last of them.

    Raises StateInvalid where what was given contradicts itself.
    """

    __slots__ = (
        "_compacted_term",
        "_entries",
        "applied",
        "applying",
        "committed",
        "compacted_index",
        "durable",
        "last_index",
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
        """The newest one: what a follower gets that needs more than the log still has."""
        self._entries: list[Entry] = list(entries)
        self.compacted_index: Index = snapshot.index
        self._compacted_term: Term = snapshot.term
        self.last_index: Index = snapshot.index + len(self._entries)
        # A commit index may be older on disk than what rests on it: it needs no sync.
        # What is applied, and what a snapshot holds, was committed.
        committed = max(committed, applied, snapshot.index)
        if committed > self.last_index:
            raise StateInvalid(
                f"the log ends at {self.last_index}, but {committed} is committed (applied:"
                f" {applied}): the log has lost entries; remove the member, or restore it"
            )
        self.committed: Index = committed
        self.applied: Index = max(applied, snapshot.index)
        self.applying: Index = self.applied
        self.durable: Index = self.last_index
        self.persisting: Index = self.last_index
        self.pending_snapshot: Snapshot | None = None
        """Received, replaces the log, not yet durable."""
        self.snapshot_persisting = False

    # Reading

    @property
    def first_index(self) -> Index:
        """Of the entries still here; last_index + 1 if there are none."""
        return self.compacted_index + 1

    @property
    def last_term(self) -> Term:
        return self._entries[-1].term if self._entries else self._compacted_term

    def term_at(self, index: Index) -> Term | None:
        """None where the term is not known: compacted, or past the end."""
        at = index - self.compacted_index
        if at > 0:
            return self._entries[at - 1].term if index <= self.last_index else None
        return self._compacted_term if at == 0 else None

    def matches(self, index: Index, term: Term) -> bool:
        """Whether the entry at `index` is known to be of `term`."""
        return self.term_at(index) == term

    def between(self, first: Index, last: Index) -> tuple[Entry, ...]:
        """Entries from `first` to `last`, both included."""
        assert first > self.compacted_index, f"{first} is compacted ({self.compacted_index})"
        assert last <= self.last_index, f"{last} is past the end ({self.last_index})"
        base = self.compacted_index + 1
        return tuple(self._entries[first - base : last - base + 1])

    def last_within(self, first: Index, last: Index, bytes_max: int) -> Index:
        """How far entries from `first` go, to `last` at most, within `bytes_max` of
        payload; one goes in any case."""
        entries = self._entries
        base = self.compacted_index + 1
        room = bytes_max
        for at in range(first - base, last - base + 1):
            room -= len(entries[at].data)
            if room < 0:
                return max(first, base + at - 1)
        return last

    def likely_match(self, index: Index, term: Term) -> tuple[Index, Term]:
        """Where this log may agree with another one, of which one entry is known to be
        of `term` at `index`: the last place here, not after `index`, whose term is not
        greater (term 0: not known any more).

        Skips whole terms of a diverged tail instead of one entry a round (Raft paper,
        5.3, end). Source: etcd-io/raft, `findConflictByTerm`.
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
        """The first of `entries` that is not here already; 0 if all are."""
        for entry in entries:
            if not self.matches(entry.index, entry.term):
                return entry.index
        return 0

    # Growing

    def append(self, entries: Sequence[Entry]) -> None:
        """Put `entries` at the end, or over a tail that is not committed."""
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
        assert entries[-1].index == self.last_index, "entries to append have a gap"

    def _truncate(self, first: Index) -> None:
        del self._entries[first - self.compacted_index - 1 :]
        self.last_index = first - 1
        self.persisting = min(self.persisting, self.last_index)
        self.durable = min(self.durable, self.last_index)

    def commit_to(self, index: Index) -> bool:
        """Mark all up to `index` committed. False if that is not news."""
        if index <= self.committed:
            return False
        assert index <= self.last_index, f"commit {index} past the end {self.last_index}"
        self.committed = index
        return True

    # Handing out

    @property
    def has_unpersisted(self) -> bool:
        return self.persisting < self.last_index

    def take_unpersisted(self) -> tuple[Entry, ...]:
        """What is to be written, once."""
        if self.persisting == self.last_index:
            return ()
        entries = self.between(self.persisting + 1, self.last_index)
        self.persisting = self.last_index
        return entries

    def persisted_to(self, index: Index) -> None:
        """What was handed out up to `index` is durable.

        Counted only as far as it has not been replaced since: `persisting` fell back
        to before the first replaced entry, if any was.
        """
        self.durable = max(self.durable, min(index, self.persisting))

    @property
    def has_unapplied(self) -> bool:
        return self.applying < self.committed and self.pending_snapshot is None

    def take_unapplied(self, bytes_max: int) -> tuple[Entry, ...]:
        """What is committed and was not handed out yet, as far as `bytes_max` goes.

        Nothing while a snapshot waits to be durable: it comes first.
        """
        if not self.has_unapplied:
            return ()
        first = self.applying + 1
        self.applying = self.last_within(first, self.committed, bytes_max)
        return self.between(first, self.applying)

    def applied_to(self, index: Index) -> None:
        # A snapshot may have overtaken the entries that were being applied.
        self.applied = max(self.applied, index)
        assert self.applied <= self.committed, f"applied {index}, committed {self.committed}"

    # Snapshots

    def restore(self, snapshot: Snapshot) -> None:
        """Become what `snapshot` stands for: nothing here is needed any more."""
        metadata = snapshot.metadata
        assert metadata.index > self.committed, "a snapshot older than what is committed"
        self.snapshot = metadata
        self.pending_snapshot = snapshot
        self.snapshot_persisting = False
        self._entries = []
        self.compacted_index = metadata.index
        self._compacted_term = metadata.term
        self.last_index = metadata.index
        self.committed = metadata.index
        self.applying = metadata.index
        self.persisting = metadata.index
        self.durable = metadata.index

    @property
    def has_unpersisted_snapshot(self) -> bool:
        return self.pending_snapshot is not None and not self.snapshot_persisting

    def take_snapshot(self) -> Snapshot | None:
        """A received snapshot that is to be persisted, once."""
        if not self.has_unpersisted_snapshot:
            return None
        self.snapshot_persisting = True
        return self.pending_snapshot

    def snapshot_persisted(self, snapshot: Snapshot) -> None:
        self.applied_to(snapshot.metadata.index)
        if self.pending_snapshot is snapshot:
            self.pending_snapshot = None
            self.snapshot_persisting = False

    def remember_snapshot(self, metadata: SnapshotMetadata) -> None:
        self.snapshot = metadata

    def compact(self, index: Index) -> None:
        """Forget entries up to `index`. Raises StateInvalid if no snapshot holds them."""
        if index <= self.compacted_index:
            return
        if index > min(self.snapshot.index, self.applied):
            raise StateInvalid(
                f"compact({index}): the newest snapshot is at {self.snapshot.index}, applied is"
                f" {self.applied}; create a snapshot at {index} or later first"
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
                " expected the next index, and a term that does not fall"
            )
        index, term = entry.index, entry.term
