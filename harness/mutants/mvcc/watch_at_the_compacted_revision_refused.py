"""Bug: a watch from the compacted revision on is cancelled, although its events exist."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.watch import WatchBatch, Watcher, WatchHub

MUTANT = Mutant(
    what="a watch that starts at the revision of the last compaction is cancelled as compacted",
    source="etcd's chooseAll: a watch is cancelled only below the compacted revision",
    found_by=("watch",),
)


def plant() -> None:
    original = WatchHub.catch_up

    def catch_up(self: WatchHub, watcher: Watcher) -> WatchBatch | None:
        compacted = self._history.compacted_revision
        if watcher.next_revision == compacted:
            self.cancel(watcher)
            return WatchBatch((), self._history.revision, compacted)
        return original(self, watcher)

    WatchHub.catch_up = catch_up  # type: ignore[method-assign]
