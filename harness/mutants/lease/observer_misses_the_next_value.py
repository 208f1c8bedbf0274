"""Bug: the stream of an election's leaders leaves out the first value after each leader."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api.election_service import ElectionHandlers
from splitbrain.node.api.wait_queue import WaitQueue
from splitbrain.node.messages.election import LeaderResponse
from splitbrain.node.mvcc.key_value import KeyValue

MUTANT = Mutant(
    what="Observe watches the leader's key from two revisions after it, and misses a proclamation",
    source="etcd's Election.Observe watches from the revision after that of the leader",
    found_by=("election",),
    hunt={"workload": "election", "nemesis": ()},
)


def plant() -> None:
    original = ElectionHandlers._until_deleted

    async def _until_deleted(
        self: ElectionHandlers, queue: WaitQueue, leader: KeyValue, revision: int
    ) -> AsyncGenerator[LeaderResponse, None]:
        async for response in original(self, queue, leader, revision + 1):
            yield response

    ElectionHandlers._until_deleted = _until_deleted  # type: ignore[method-assign]
