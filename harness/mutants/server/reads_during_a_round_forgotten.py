"""Bug: reads that arrive during a read-index round are never included in a later round."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.ready import ReadState
from splitbrain.node.read_barrier import ReadBarrier

MUTANT = Mutant(
    what="a linearizable read that arrives at the wrong moment waits for its deadline",
    source="etcd-io/etcd issues 8975 and 9566 (a read-index request is lost, and the reads that"
    " follow it are blocked until their timeout)",
    found_by=("invariants",),
)


def plant() -> None:
    original = ReadBarrier.confirmed

    def confirmed(self: ReadBarrier, state: ReadState) -> None:
        if self._asked and int.from_bytes(state.context, "big") == self._round:
            self._next = []
        original(self, state)

    ReadBarrier.confirmed = confirmed  # type: ignore[method-assign]
