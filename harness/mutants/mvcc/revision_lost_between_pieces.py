"""A watcher that catches up in several pieces misses a revision between two of them."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.watch import WatchBatch, Watcher, WatchHub

MUTANT = Mutant(
    what="a watch of a long history loses a revision at each piece's end",
    source="etcd, syncWatchers: a victim's minRev is the revision behind what it was sent",
    found_by=("watch", "mvcc"),
)


def plant() -> None:
    honest = WatchHub.catch_up

    def catch_up(self: WatchHub, watcher: Watcher) -> WatchBatch | None:
        batch = honest(self, watcher)
        if not watcher.synced and not watcher.cancelled:
            watcher.next_revision += 1
        return batch

    WatchHub.catch_up = catch_up  # type: ignore[method-assign]
