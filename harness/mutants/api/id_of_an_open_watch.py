"""Bug: the id of a new watch is the number of open watches, even if another watch has that id."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api.watch import WatchStream

MUTANT = Mutant(
    what="after a cancellation, a new watch gets the id of a watch that is still open",
    source="etcd's watchStream.Watch (mvcc/watcher.go), which looks for a free id",
    found_by=("watch",),
    hunt={"workload": "watch"},
)


def plant() -> None:
    def _free_id(self: WatchStream) -> int:
        return len(self._watchers)

    WatchStream._free_id = _free_id  # type: ignore[method-assign]
