"""Bug: the events of one revision are sent in reverse order."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.key_value import Event
from splitbrain.node.mvcc.watch import WatchHub

MUTANT = Mutant(
    what="a watcher receives the changes of a transaction out of order",
    source="etcd's API guarantees for watch: \"ordered\"; etcd-io/etcd issue 15271",
    found_by=("watch",),
)


def plant() -> None:
    original = WatchHub.notify

    def notify(self: WatchHub, revision: int, events: Sequence[Event]) -> None:
        original(self, revision, tuple(reversed(events)))

    WatchHub.notify = notify  # type: ignore[method-assign]
