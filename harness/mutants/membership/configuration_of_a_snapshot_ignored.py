"""Bug: a follower that restores a snapshot keeps its own configuration."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import MEMBERS_HUNT, Mutant
from splitbrain.node.raft import follower
from splitbrain.node.raft.message import Snapshot
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="a follower does not adopt the configuration of a snapshot",
    source="Raft thesis, 5.1",
    found_by=("invariants",),
    hunt=MEMBERS_HUNT,
)


def plant() -> None:
    original = follower.restore

    def restore(raft: RaftState, snapshot: Snapshot) -> bool:
        before, known = raft.conf_state, list(raft.configurations)
        restored = original(raft, snapshot)
        if restored:
            raft.adopt_configuration(before, snapshot.metadata.index)
            raft.configurations = known
        return restored

    follower.restore = restore
