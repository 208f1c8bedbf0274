"""Bug: a watch stream gives a watch an id that the client has chosen for another watch."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api.watch import WatchStream

MUTANT = Mutant(
    what="a watch gets an id that the client has chosen for another watch of the stream",
    source="etcd's watchStream.Watch (mvcc/watcher.go), which skips ids that are in use",
    found_by=("watch",),
    hunt={"workload": "watch"},
)


def plant() -> None:
    def _free_id(self: WatchStream) -> int:
        self._next_id += 1
        return self._next_id - 1

    WatchStream._free_id = _free_id  # type: ignore[method-assign]
