"""Bug: the stream of an election's leaders sends the value of a leader once more."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api.election_service import ElectionHandlers
from splitbrain.node.api.wait_queue import WaitQueue
from splitbrain.node.messages.election import LeaderResponse
from splitbrain.node.mvcc.key_value import KeyValue

MUTANT = Mutant(
    what="Observe watches the leader's key from the revision that it has already sent",
    source="etcd's Election.Observe watches from the revision after that of the leader",
    found_by=("election",),
    hunt={"workload": "election"},
)


def plant() -> None:
    original = ElectionHandlers._until_deleted

    async def _until_deleted(
        self: ElectionHandlers, queue: WaitQueue, leader: KeyValue, revision: int
    ) -> AsyncGenerator[LeaderResponse, None]:
        async for response in original(self, queue, leader, leader.mod_revision - 1):
            yield response

    ElectionHandlers._until_deleted = _until_deleted  # type: ignore[method-assign]
