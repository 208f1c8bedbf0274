"""Bug: a watcher receives the changes of one transaction in several responses."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.key_value import Event
from splitbrain.node.mvcc.watch import WatchHub

MUTANT = Mutant(
    what="a watch delivers a transaction in parts",
    source="etcd's API guarantees for watch: \"atomic\"",
    found_by=("watch",),
)


def plant() -> None:
    original = WatchHub.notify

    def notify(self: WatchHub, revision: int, events: Sequence[Event]) -> None:
        for event in events:
            original(self, revision, (event,))

    WatchHub.notify = notify  # type: ignore[method-assign]
