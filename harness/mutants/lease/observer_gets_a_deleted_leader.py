"""Bug: the stream of an election's leaders reads this member's own, possibly old state."""

from __future__ import annotations

from msgspec.structs import replace

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api.election_service import ElectionHandlers
from splitbrain.node.api.wait_queue import WaitQueue
from splitbrain.node.messages.election import LeaderResponse
from splitbrain.node.messages.rpc import RangeRequest

MUTANT = Mutant(
    what="Observe reads the leader without asking the leader of Raft, and can show a former one",
    source="etcd's Election.Observe reads the leader with a linearizable range",
    found_by=("election",),
    hunt={"workload": "election"},
)


class LocalQueue(WaitQueue):
    """A queue whose first key is read from this member's own state."""

    def first(self) -> RangeRequest:
        return replace(super().first(), serializable=True)


def plant() -> None:
    original = ElectionHandlers._next_leader

    async def _next_leader(self: ElectionHandlers, queue: WaitQueue) -> LeaderResponse:
        return await original(self, LocalQueue(self._member, self._kv, queue.prefix[:-1]))

    ElectionHandlers._next_leader = _next_leader  # type: ignore[method-assign]
