"""Finds the queue of keys that wait for a lock or an election, from the change log.

etcd's locks and elections use the same recipe. Each client puts a key with a lease under the name
of the lock or election. These keys form a queue, in the order of their creation. The *turn* of a
key begins when the key is first in the queue. It ends when the key is deleted, by its owner or with
its lease.

Source: etcd's client/v3/concurrency (key.go, mutex.go, election.go).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from splitbrain.histories.member_state import Change


@dataclass(slots=True)
class Turn:
    """One key in the queue of a lock or an election. All numbers are revisions."""

    name: str
    """The name of the lock or election."""
    key: str
    created: int
    began: int | None = None
    """The revision at which the turn of the key began, or None if it never had its turn."""
    ended: int | None = None
    """The revision at which the key was deleted, or None if it was never deleted."""
    puts: list[tuple[int, str]] = field(default_factory=list)
    """The values of the key, each with the revision that put it."""
    leases: dict[int, int] = field(default_factory=dict)
    """For each revision that put the key: the lease to which it attached the key (0: none)."""

    def exists_at(self, revision: int) -> bool:
        """Return whether the key exists at `revision`."""
        return self.created <= revision and (self.ended is None or revision < self.ended)

    def has_turn_at(self, revision: int) -> bool:
        """Return whether the key is the first in its queue at `revision`."""
        return self.began is not None and self.began <= revision and self.exists_at(revision)

    def value_at(self, revision: int) -> str:
        """Return the value of the key at `revision`; "" before its first put."""
        return next((value for at, value in reversed(self.puts) if at <= revision), "")

    def put_at(self, revision: int) -> int:
        """Return the revision of the last put of the key up to `revision`, or 0."""
        return next((at for at, _ in reversed(self.puts) if at <= revision), 0)

    def lease_at(self, revision: int) -> int:
        """Return the lease to which the last put up to `revision` attached the key, or 0."""
        return self.leases.get(self.put_at(revision), 0)

    def lease_text(self, revision: int) -> str:
        """Describe the lease of `lease_at`."""
        lease = self.lease_at(revision)
        return f"lease {lease}" if lease else "no lease"

    def put_after(self, revision: int) -> int:
        """Return the revision of the first put of the key after `revision`, or 0."""
        return next((at for at, _ in self.puts if at > revision), 0)


class Turns:
    """The turns of all keys in the queues of locks and elections.

    `names` are the names of these locks and elections. A key has its turn while it is the first in
    its queue.
    """

    def __init__(self, names: Iterable[str], changes: Sequence[Change]) -> None:
        self._changes = changes
        self._names = dict.fromkeys(names)
        self.of_name: dict[str, list[Turn]] = {name: [] for name in self._names}
        self._of_key: dict[str, list[Turn]] = {}
        self._queues: dict[str, dict[str, Turn]] = {name: {} for name in self._names}
        place = 0
        while place < len(changes):
            revision = changes[place].revision
            touched: dict[str, None] = {}
            while place < len(changes) and changes[place].revision == revision:
                name = changes[place].key.rpartition("/")[0]
                if name in self._names:
                    self._take(name, changes[place])
                    touched[name] = None
                place += 1
            for name in touched:
                first = next(iter(self._queues[name].values()), None)
                if first is not None and first.began is None:
                    first.began = revision

    def _take(self, name: str, change: Change) -> None:
        queue = self._queues[name]
        if change.kind == "delete":
            gone = queue.pop(change.key, None)
            if gone is not None:
                gone.ended = change.revision
            return
        turn = queue.get(change.key)
        if turn is None:
            turn = queue[change.key] = Turn(name, change.key, change.revision)
            self.of_name[name].append(turn)
            self._of_key.setdefault(change.key, []).append(turn)
        turn.puts.append((change.revision, change.value))
        turn.leases[change.revision] = change.lease

    def changes_at(self, revision: int) -> Sequence[Change]:
        """Return the changes of all keys at `revision`."""
        place = bisect_left(self._changes, revision, key=lambda change: change.revision)
        end = place
        while end < len(self._changes) and self._changes[end].revision == revision:
            end += 1
        return self._changes[place:end]

    def of_key(self, key: str, revision: int) -> Turn | None:
        """Return the turn of `key` after its last creation at or before `revision`, or None."""
        return next(
            (one for one in reversed(self._of_key.get(key, ())) if one.created <= revision), None
        )

    def holder(self, name: str, revision: int) -> Turn | None:
        """Return the key that is the first in the queue of `name` at `revision`, or None."""
        return next((one for one in self.of_name[name] if one.has_turn_at(revision)), None)
