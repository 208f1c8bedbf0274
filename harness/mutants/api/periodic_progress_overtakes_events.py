"""Bug: a periodic progress notification does not wait for the events before it."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api.watch import WatchStream

MUTANT = Mutant(
    what="a watch that is behind is notified of progress up to the newest revision",
    source="etcd-io/etcd issue 15220; progressIfSync in mvcc/watchable_store.go",
    found_by=("watch",),
)


def plant() -> None:
    WatchStream._caught_up = lambda self, watch_id: True  # type: ignore[method-assign]
