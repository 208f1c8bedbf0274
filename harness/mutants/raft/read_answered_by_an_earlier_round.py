"""Bug: a member accepts any read-index response for the round that is waiting."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.ready import ReadState
from splitbrain.node.read_barrier import ReadBarrier

MUTANT = Mutant(
    what="a read is confirmed by the response to an earlier round",
    source="etcd-io/etcd pull requests 21384 and 21386 (read index and leader change race: a"
    " stale read)",
    found_by=("mvcc", "linearizable", "invariants"),
)


def plant() -> None:
    original = ReadBarrier.confirmed

    def confirmed(self: ReadBarrier, state: ReadState) -> None:
        original(self, ReadState(state.index, self._round.to_bytes(8, "big")))

    ReadBarrier.confirmed = confirmed  # type: ignore[method-assign]
