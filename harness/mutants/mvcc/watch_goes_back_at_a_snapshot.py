"""Bug: when a leader's snapshot replaces the store, watchers restart at a much earlier revision."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.watch import WatchHub

BACK = 5

MUTANT = Mutant(
    what="after a snapshot a watcher receives events again",
    source="etcd-io/etcd issue 15271 (watch responses travel back in time)",
    found_by=("watch",),
)


def plant() -> None:
    original = WatchHub.store_replaced

    def store_replaced(self: WatchHub, revision: int) -> None:
        for watcher in self._watchers.values():
            watcher.next_revision = min(watcher.next_revision, max(revision - BACK, 1))
        original(self, max(revision - BACK, 0))

    WatchHub.store_replaced = store_replaced  # type: ignore[method-assign]
