"""Bug: in a joint configuration, an entry is committed by the incoming voters alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from splitbrain.harness.mutants.mutant import JOINT_HUNT, Mutant
from splitbrain.node.raft import quorum
from splitbrain.node.raft.message import MemberId

MUTANT = Mutant(
    what="a joint configuration needs only the majority of the incoming voters for a commit",
    source="Raft thesis, 4.3: agreement needs separate majorities of both configurations",
    found_by=("invariants",),
    hunt=JOINT_HUNT,
)


def plant() -> None:
    def joint_index(
        voters: Sequence[MemberId],
        outgoing: Sequence[MemberId],
        acknowledged: Mapping[MemberId, int],
    ) -> int:
        return quorum.quorum_index(voters, acknowledged)

    quorum.joint_index = joint_index
