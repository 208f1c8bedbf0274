"""Watchers of a store that becomes a leader's snapshot begin again far behind."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.watch import WatchHub

BACK = 5

MUTANT = Mutant(
    what="after a snapshot a watcher is sent what it has had",
    source="etcd-io/etcd issue 15271 (watch responses travel back in time)",
    found_by=("watch",),
)


def plant() -> None:
    honest = WatchHub.store_replaced

    def store_replaced(self: WatchHub, revision: int) -> None:
        for watcher in self._watchers.values():
            watcher.next_revision = min(watcher.next_revision, max(revision - BACK, 1))
        honest(self, max(revision - BACK, 0))

    WatchHub.store_replaced = store_replaced  # type: ignore[method-assign]
