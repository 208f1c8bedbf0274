"""Bug: a periodic progress notification does not wait for the events in the buffer."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api.watch import WatchStream

MUTANT = Mutant(
    what="a watch is notified of the newest revision while events wait in its buffer",
    source="etcd-io/etcd issue 15220; progressIfSync in mvcc/watchable_store.go",
    found_by=("watch",),
    hunt={"workload": "watch"},
)


def plant() -> None:
    def caught_up(self: WatchStream, watch_id: int) -> bool:
        watcher = self._watchers[watch_id]
        future = self._member.store.revision < watcher.start_revision
        return not future and watch_id not in self._sending

    WatchStream._caught_up = caught_up  # type: ignore[method-assign]
