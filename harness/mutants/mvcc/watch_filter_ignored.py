"""A watcher is sent the kinds of events that it asked to be spared."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.key_value import Event
from splitbrain.node.mvcc.watch import Watcher

MUTANT = Mutant(
    what="filters of a watch do not filter what is caught up",
    source="etcd's rpc.proto, WatchCreateRequest.FilterType: NOPUT and NODELETE filter events out",
    found_by=("watch",),
)


def plant() -> None:
    def wants(self: Watcher, event: Event) -> bool:
        return event.kv.mod_revision >= self.next_revision

    Watcher.wants = wants  # type: ignore[method-assign]
