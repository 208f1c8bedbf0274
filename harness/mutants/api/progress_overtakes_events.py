"""A watcher is told that it has all up to a revision while events of it are on their way."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api.watch import WatchStream

MUTANT = Mutant(
    what="a notice of progress comes before events that it says were sent",
    source="etcd #15220: a requested progress notification is not in order with events",
    found_by=("watch",),
)


def plant() -> None:
    WatchStream._caught_up = lambda self, watch_id: True  # type: ignore[method-assign]
