"""Bug: a lock is granted although another client holds it."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api.wait_queue import Place, WaitQueue
from splitbrain.node.messages.rpc import ResponseHeader

MUTANT = Mutant(
    what="a client gets a lock without waiting for its turn",
    source="Jepsen's analysis of etcd 3.4.3 (2020): locks that two clients hold at once",
    found_by=("fencing", "mutual_exclusion"),
    hunt={"workload": "lock"},
)


def plant() -> None:
    async def wait_for_turn(self: WaitQueue, place: Place) -> ResponseHeader:
        return place.header

    WaitQueue.wait_for_turn = wait_for_turn  # type: ignore[method-assign]
