"""Bug: a watcher that needs compacted events receives the events that are left."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.watch import WatchBatch, Watcher, WatchHub

MUTANT = Mutant(
    what="a watch from a compacted revision is not cancelled",
    source="etcd's rpc.proto, WatchResponse.compact_revision: the watcher is cancelled; etcd's API"
    " guarantees for watch: \"reliable\"",
    found_by=("watch",),
)


def plant() -> None:
    original = WatchHub.catch_up

    def catch_up(self: WatchHub, watcher: Watcher) -> WatchBatch | None:
        watcher.next_revision = max(watcher.next_revision, self._history.compacted_revision)
        return original(self, watcher)

    WatchHub.catch_up = catch_up  # type: ignore[method-assign]
