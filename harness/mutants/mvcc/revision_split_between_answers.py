"""The changes of one transaction come to a watcher in an answer each."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.key_value import Event
from splitbrain.node.mvcc.watch import WatchHub

MUTANT = Mutant(
    what="a watch shows a transaction in parts",
    source="etcd's API guarantees for watch: atomic",
    found_by=("watch",),
)


def plant() -> None:
    honest = WatchHub.notify

    def notify(self: WatchHub, revision: int, events: Sequence[Event]) -> None:
        for event in events:
            honest(self, revision, (event,))

    WatchHub.notify = notify  # type: ignore[method-assign]
