"""Bug: the stream of an election's leaders contains candidates that wait for their turn."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from msgspec.structs import replace

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api.election_service import ElectionHandlers
from splitbrain.node.api.wait_queue import WaitQueue, end_of_prefix
from splitbrain.node.messages.election import LeaderResponse
from splitbrain.node.mvcc.key_value import EventType, KeyValue

MUTANT = Mutant(
    what="Observe sends each put of any candidate of the election as its leader",
    source="etcd's Election.Observe watches only the key of the leader",
    found_by=("election",),
    hunt={"workload": "election"},
)


def plant() -> None:
    async def _until_deleted(
        self: ElectionHandlers, queue: WaitQueue, leader: KeyValue, revision: int
    ) -> AsyncGenerator[LeaderResponse, None]:
        changes = queue.changes(queue.prefix, end_of_prefix(queue.prefix), revision + 1)
        try:
            async for batch in changes:
                for event in batch.events:
                    if event.type is EventType.PUT:
                        header = replace(self._member.header(), revision=batch.revision)
                        yield LeaderResponse(header, event.kv)
                    elif event.kv.key == leader.key:
                        return
        finally:
            await changes.aclose()

    ElectionHandlers._until_deleted = _until_deleted  # type: ignore[method-assign]
