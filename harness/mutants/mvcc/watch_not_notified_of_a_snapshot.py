"""Bug: when a leader's snapshot replaces the store, watchers continue after the snapshot."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.watch import WatchHub

MUTANT = Mutant(
    what="watchers do not receive the events that a snapshot contained",
    source="etcd-io/etcd issue 8411",
    found_by=("watch",),
)


def plant() -> None:
    WatchHub.store_replaced = lambda self, revision: None  # type: ignore[method-assign]
