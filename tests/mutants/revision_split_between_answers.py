"""The changes of one transaction come to a watcher in an answer each."""

from __future__ import annotations

from collections.abc import Sequence

from node.mvcc.key_value import Event
from node.mvcc.watch import WatchHub
from tests.mutants import Mutant

MUTANT = Mutant(
    what="a watch shows a transaction in parts",
    source="etcd's API guarantees for watch: atomic",
    found_by=("watch",),
)


def spoil() -> None:
    honest = WatchHub.notify

    def notify(self: WatchHub, revision: int, events: Sequence[Event]) -> None:
        for event in events:
            honest(self, revision, (event,))

    WatchHub.notify = notify  # type: ignore[method-assign]
