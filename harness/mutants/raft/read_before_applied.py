"""Bug: a read continues when the leader has answered, before the read index is applied."""

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
    original = ReadBarrier.confirmed

    def confirmed(self: ReadBarrier, state: ReadState) -> None:
        original(self, ReadState(0, state.context))

    ReadBarrier.confirmed = confirmed  # type: ignore[method-assign]
