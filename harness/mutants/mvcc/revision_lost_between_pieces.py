"""Bug: a watcher that catches up in several pieces misses a revision between two pieces."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.watch import WatchBatch, Watcher, WatchHub

MUTANT = Mutant(
    what="a watch of a long history loses one revision at the end of each piece",
    source="etcd's syncWatchers: a victim's minRev is the revision after the last one sent",
    found_by=("watch", "mvcc"),
)


def plant() -> None:
    original = WatchHub.catch_up

    def catch_up(self: WatchHub, watcher: Watcher) -> WatchBatch | None:
        batch = original(self, watcher)
        if not watcher.synced and not watcher.cancelled:
            watcher.next_revision += 1
        return batch

    WatchHub.catch_up = catch_up  # type: ignore[method-assign]
