"""Bug: a campaign succeeds although its lease ended while it waited."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api.wait_queue import Place, WaitQueue
from splitbrain.node.messages.rpc import ResponseHeader

MUTANT = Mutant(
    what="a client is elected although its key was deleted while it waited",
    source="etcd issue 19597: an answer of the election service does not agree with the key",
    found_by=("election", "fencing"),
    hunt={
        "workload": "election",
        "workload_options": {"ttl": 1, "elections": 1},
        "request_timeout_ms": 5000,
    },
)


def plant() -> None:
    async def wait_for_turn(self: WaitQueue, place: Place) -> ResponseHeader:
        await self._until_earlier_are_deleted(place.create_revision)
        return place.header

    WaitQueue.wait_for_turn = wait_for_turn  # type: ignore[method-assign]
