"""Bug: the progress of a watcher follows from the last batch in its buffer, not the first."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.watch import Watcher

MUTANT = Mutant(
    what="a client is notified of progress beyond events that wait in the watcher's buffer",
    source="etcd-io/etcd issue 15220",
    found_by=("watch",),
    hunt={"workload": "watch"},
)


def plant() -> None:
    def delivered_revision(self: Watcher, current: int) -> int:
        if self._buffer:
            return self._buffer[-1][0].events[0].kv.mod_revision - 1
        return current if self.synced else self.next_revision - 1

    Watcher.delivered_revision = delivered_revision  # type: ignore[method-assign]
