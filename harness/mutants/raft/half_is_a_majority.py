"""Bug: half of an even number of members counts as a majority."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import quorum
from splitbrain.node.raft.message import MemberId

MUTANT = Mutant(
    what="half of an even number of members can elect a leader and commit entries",
    source="Raft paper, 5.2: a majority; clusters of three and five members do not reveal this"
    " mistake",
    found_by=("invariants", "write_path"),
)


def plant() -> None:
    def majority(voters: Sequence[MemberId]) -> int:
        return (len(voters) + 1) // 2

    quorum.majority = majority
