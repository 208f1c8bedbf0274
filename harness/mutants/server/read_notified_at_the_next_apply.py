"""Bug: a read whose index is already applied waits until the next entry is applied."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.ready import ReadState
from splitbrain.node.read_barrier import ReadBarrier

MUTANT = Mutant(
    what="a linearizable read waits for the next write, and without writes for its deadline",
    source="Lu et al., Learning from Mistakes (ASPLOS 2008): lost wake-ups; etcd-io/etcd issue"
    " 7501 (a linearizable read times out in linearizableReadNotify)",
    found_by=("invariants",),
)


def plant() -> None:
    def confirmed(self: ReadBarrier, state: ReadState) -> None:
        if int.from_bytes(state.context, "big") != self._round or not self._asked:
            return
        waiting, self._asked = self._asked, []
        self._behind.append((state.index, waiting))
        self._end_round()

    ReadBarrier.confirmed = confirmed  # type: ignore[method-assign]
