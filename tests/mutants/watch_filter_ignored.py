"""A watcher is sent the kinds of events that it asked to be spared."""

from __future__ import annotations

from node.mvcc.key_value import Event
from node.mvcc.watch import Watcher
from tests.mutants import Mutant

MUTANT = Mutant(
    what="filters of a watch do not filter what is caught up",
    source="etcd's rpc.proto, WatchCreateRequest.FilterType: NOPUT and NODELETE filter events out",
    found_by=("watch",),
)


def spoil() -> None:
    def wants(self: Watcher, event: Event) -> bool:
        return event.kv.mod_revision >= self.next_revision

    Watcher.wants = wants  # type: ignore[method-assign]
