"""Bug: the stream of an election's leaders shows no leader after the first one."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api.election_service import ElectionHandlers
from splitbrain.node.api.wait_queue import WaitQueue
from splitbrain.node.messages.election import LeaderResponse
from splitbrain.node.mvcc.key_value import EventType, KeyValue

MUTANT = Mutant(
    what="Observe does not notice that the key of the leader was deleted, and misses the next one",
    source="etcd's Election.Observe reads the next leader when the key of the former one is gone",
    found_by=("election",),
    hunt={"workload": "election", "nemesis": ()},
)


def plant() -> None:
    async def _until_deleted(
        self: ElectionHandlers, queue: WaitQueue, leader: KeyValue, revision: int
    ) -> AsyncGenerator[LeaderResponse, None]:
        changes = queue.changes(leader.key, b"", revision + 1)
        try:
            async for batch in changes:
                for event in batch.events:
                    if event.type is EventType.PUT:
                        yield LeaderResponse(self._header(batch.revision), event.kv)
        finally:
            await changes.aclose()

    ElectionHandlers._until_deleted = _until_deleted  # type: ignore[method-assign]
