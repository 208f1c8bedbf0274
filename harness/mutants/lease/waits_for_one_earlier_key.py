"""Bug: a client that waits for a lock waits for the deletion of only one earlier key."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api.wait_queue import WaitQueue
from splitbrain.node.messages.rpc import SortOrder

MUTANT = Mutant(
    what="a waiting client gets its turn although earlier clients still wait",
    source="etcd's waitDeletes waits until no earlier key exists (key.go)",
    found_by=("fencing", "election"),
    hunt={"workload": "lock"},
)


def plant() -> None:
    async def _until_earlier_are_deleted(self: WaitQueue, create_revision: int) -> None:
        last = self._newest_or_oldest(SortOrder.DESCEND, create_revision - 1)
        found = await self._kv.range(last)
        if found.kvs:
            key, revision = found.kvs[0].key, found.header.revision + 1
            async for _ in self.changes(key, b"", revision, no_put=True):
                return

    WaitQueue._until_earlier_are_deleted = (  # type: ignore[method-assign]
        _until_earlier_are_deleted
    )
