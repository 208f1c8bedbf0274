"""Bug: an acknowledgement frees no place in a follower's window of appends in flight."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.inflights import Inflights
from splitbrain.node.raft.message import Index

MUTANT = Mutant(
    what="a follower gets no further entries once its window was full",
    source="etcd-io/raft, Inflights.FreeLE",
    found_by=("invariants",),
)


def plant() -> None:
    def free_up_to(self: Inflights, index: Index) -> None:
        return

    Inflights.free_up_to = free_up_to  # type: ignore[method-assign]
