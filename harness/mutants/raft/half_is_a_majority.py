"""Half of the members, rounded up, are taken for a majority: right where their number is odd."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import quorum
from splitbrain.node.raft.message import MemberId

MUTANT = Mutant(
    what="half of an even number of members elect and commit",
    source="Raft paper, 5.2: a majority; the slip that clusters of three and five never show",
    found_by=("invariants", "write_path"),
)


def plant() -> None:
    def majority(voters: Sequence[MemberId]) -> int:
        return (len(voters) + 1) // 2

    quorum.majority = majority
