"""Bug: a watcher that catches up gets the new value as the previous value of an event."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.key_value import Event
from splitbrain.node.mvcc.watch import Watcher, WatchHub

MUTANT = Mutant(
    what="prev_kv of a historical event is the event's new value",
    source="etcd's WatchCreateRequest.prev_kv: the key as it was before the event",
    found_by=("watch",),
)


def plant() -> None:
    original = WatchHub._with_previous

    def _with_previous(self: WatchHub, watcher: Watcher, event: Event) -> Event:
        found = original(self, watcher, event)
        if found.previous is None:
            return found
        new = self._history.get_at(event.kv.key, event.kv.mod_revision)
        return Event(event.type, event.kv, new)

    WatchHub._with_previous = _with_previous  # type: ignore[method-assign]
