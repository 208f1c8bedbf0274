"""Whose turn it was, by the change log: the keys that queue for a lock or an election.

etcd's locks and elections are one recipe: who wants it puts a key of its own under the
name, on a lease; the key that was created first has its turn, until it is deleted, with its
lease or by its owner.

Source: etcd's client/v3/concurrency (key.go, mutex.go, election.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from splitbrain.histories.member_state import Change


@dataclass(slots=True)
class Turn:
    """One key in the queue, by revisions. `began` None: it never had its turn; `ended` None:
    it was there to the end. `puts`: its value from each revision on."""

    name: str
    key: str
    created: int
    began: int | None = None
    ended: int | None = None
    puts: list[tuple[int, str]] = field(default_factory=list)

    def there_at(self, revision: int) -> bool:
        return self.created <= revision and (self.ended is None or revision < self.ended)

    def has_turn_at(self, revision: int) -> bool:
        return self.began is not None and self.began <= revision and self.there_at(revision)

    def value_at(self, revision: int) -> str:
        return next((value for at, value in reversed(self.puts) if at <= revision), "")


class Turns:
    """All the turns under `names`."""

    def __init__(self, names: Iterable[str], changes: Sequence[Change]) -> None:
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

    def of_key(self, key: str, revision: int) -> Turn | None:
        """The key's own, the last that was created by `revision`."""
        return next(
            (one for one in reversed(self._of_key.get(key, ())) if one.created <= revision), None
        )

    def holder(self, name: str, revision: int) -> Turn | None:
        """Whose turn it was at `revision`."""
        return next((one for one in self.of_name[name] if one.has_turn_at(revision)), None)
