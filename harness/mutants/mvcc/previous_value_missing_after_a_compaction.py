"""Bug: the first event after the compacted revision has no previous value in a watch."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.key_value import Event
from splitbrain.node.mvcc.watch import Watcher, WatchHub

MUTANT = Mutant(
    what="the first event after the compacted revision lacks its prev_kv",
    source="etcd's watchableStore, which reads prev_kv at the revision before the event",
    found_by=("watch",),
)


def plant() -> None:
    original = WatchHub._with_previous

    def with_previous(self: WatchHub, watcher: Watcher, event: Event) -> Event:
        if event.kv.mod_revision - 1 == self._history.compacted_revision:
            return event
        return original(self, watcher, event)

    WatchHub._with_previous = with_previous  # type: ignore[method-assign]
