"""Bug: a watcher that has just caught up skips the next event."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.watch import WatchBatch, Watcher, WatchHub

MUTANT = Mutant(
    what="the first event after a watcher has caught up is lost",
    source="etcd-io/etcd pull request 9281 and issue 4191 (watchers lost between unsynced and"
    " synced); etcd's API guarantees for watch: \"reliable\"",
    found_by=("watch",),
)


def plant() -> None:
    original = WatchHub.catch_up

    def catch_up(self: WatchHub, watcher: Watcher) -> WatchBatch | None:
        batch = original(self, watcher)
        if watcher.synced:
            watcher.next_revision += 1
        return batch

    WatchHub.catch_up = catch_up  # type: ignore[method-assign]
