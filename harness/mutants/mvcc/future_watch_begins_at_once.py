"""Bug: a watch from a future revision receives earlier events."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.key_value import Event, EventType
from splitbrain.node.mvcc.watch import Watcher

MUTANT = Mutant(
    what="a watch from a future revision starts at the next revision",
    source="etcd's API: events from start_revision on; watchable_store.go, minRev",
    found_by=("watch",),
)


def plant() -> None:
    def wants(self: Watcher, event: Event) -> bool:
        return not (self.no_put if event.type is EventType.PUT else self.no_delete)

    Watcher.wants = wants  # type: ignore[method-assign]
