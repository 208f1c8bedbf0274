"""A watcher whose buffer is full goes on as if it had missed nothing."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.watch import WatchBatch, Watcher

MUTANT = Mutant(
    what="events that find a slow watcher's buffer full are lost",
    source="etcd's API guarantees for watch, reliable; watchable_store.go: a slow watcher becomes"
    " a victim, and is synced again",
    found_by=("watch",),
)


def plant() -> None:
    honest = Watcher.offer

    def offer(self: Watcher, batch: WatchBatch) -> bool:
        honest(self, batch)
        return True

    Watcher.offer = offer  # type: ignore[method-assign]
