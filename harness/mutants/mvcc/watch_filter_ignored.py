"""Bug: a watcher receives events of the kinds that its filters exclude."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.key_value import Event
from splitbrain.node.mvcc.watch import Watcher

MUTANT = Mutant(
    what="the filters of a watch are ignored",
    source="etcd's rpc.proto, WatchCreateRequest.FilterType: NOPUT and NODELETE filter events out",
    found_by=("watch",),
)


def plant() -> None:
    def wants(self: Watcher, event: Event) -> bool:
        return event.kv.mod_revision >= self.next_revision

    Watcher.wants = wants  # type: ignore[method-assign]
