"""Bug: a watch without events looks for them again and again, without a pause."""

from __future__ import annotations

import asyncio

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.watch import Watcher

MUTANT = Mutant(
    what="a watch that waits for events polls the store without a pause",
    source="the loops of etcd's mvcc/watchable_store.go, which sleep for 100 ms; a loop without the"
    " pause uses a whole core",
    found_by=("invariants",),
    hunt={"workload": "watch"},
)


def plant() -> None:
    async def ready(self: Watcher) -> None:
        while self.synced and not self._buffer and not self.cancelled:  # noqa: ASYNC110
            await asyncio.sleep(0)

    Watcher.ready = ready  # type: ignore[method-assign]
