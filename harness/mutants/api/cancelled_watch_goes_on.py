"""Bug: a request to cancel a watch has no effect if other watches share its stream."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api.watch import WatchStream

MUTANT = Mutant(
    what="a watch that the client cancels continues while its stream has other watches",
    source="etcd's WatchCancelRequest (rpc.proto)",
    found_by=("watch",),
    hunt={"workload": "watch"},
)


def plant() -> None:
    original = WatchStream._cancel

    async def _cancel(self: WatchStream, watch_id: int) -> None:
        if len(self._watchers) == 1:
            await original(self, watch_id)

    WatchStream._cancel = _cancel  # type: ignore[method-assign]
