"""Bug: a watcher whose buffer is full continues as if no event had been dropped."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.watch import WatchBatch, Watcher

MUTANT = Mutant(
    what="events that do not fit into a slow watcher's buffer are lost",
    source="etcd's API guarantees for watch, \"reliable\"; watchable_store.go: a slow watcher"
    " becomes a victim and is synced again",
    found_by=("watch",),
)


def plant() -> None:
    original = Watcher.offer

    def offer(self: Watcher, batch: WatchBatch) -> bool:
        original(self, batch)
        return True

    Watcher.offer = offer  # type: ignore[method-assign]
