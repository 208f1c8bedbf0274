"""A read goes ahead when the leader has answered, applied here or not."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.ready import ReadState
from splitbrain.node.read_barrier import ReadBarrier

MUTANT = Mutant(
    what="a member reads before it has applied up to the read index",
    source="etcd-io/etcd issues 13464 and 3879; Raft thesis, 6.4, step 3",
    found_by=("mvcc", "linearizable", "invariants"),
)


def plant() -> None:
    honest = ReadBarrier.confirmed

    def confirmed(self: ReadBarrier, state: ReadState) -> None:
        honest(self, ReadState(0, state.context))

    ReadBarrier.confirmed = confirmed  # type: ignore[method-assign]
