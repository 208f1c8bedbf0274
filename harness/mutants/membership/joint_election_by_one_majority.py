"""Bug: in a joint configuration, a candidate needs only the incoming voters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from splitbrain.harness.mutants.mutant import JOINT_HUNT, Mutant
from splitbrain.node.raft import quorum
from splitbrain.node.raft.message import MemberId

MUTANT = Mutant(
    what="a joint configuration needs only the majority of the incoming voters for an election",
    source="Raft thesis, 4.3: agreement needs separate majorities of both configurations",
    found_by=("invariants", "raft_safety"),
    hunt=JOINT_HUNT,
)


def plant() -> None:
    def joint_tally(
        voters: Sequence[MemberId],
        outgoing: Sequence[MemberId],
        votes: Mapping[MemberId, bool],
    ) -> quorum.VoteResult:
        return quorum.tally(voters, votes)

    quorum.joint_tally = joint_tally
