"""Watchers of a store that becomes a leader's snapshot go on with what comes after it."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.watch import WatchHub

MUTANT = Mutant(
    what="events that came with a snapshot are not sent to watchers",
    source="etcd-io/etcd issue 8411",
    found_by=("watch",),
)


def plant() -> None:
    WatchHub.store_replaced = lambda self, revision: None  # type: ignore[method-assign]
