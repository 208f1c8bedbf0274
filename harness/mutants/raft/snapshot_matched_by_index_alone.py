"""Bug: a follower whose log reaches the index of a snapshot keeps its entries.

The follower does not compare the terms.
"""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import follower
from splitbrain.node.raft.message import Snapshot
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="the uncommitted tail of a deposed leader is committed because a snapshot has the same"
    " index",
    source="Raft paper, figure 13: the log is kept if it has an entry of the same index and term",
    found_by=("invariants", "write_path"),
)


def plant() -> None:
    original = follower.restore

    def restore(raft: RaftState, snapshot: Snapshot) -> bool:
        if raft.log.committed < snapshot.metadata.index <= raft.log.last_index:
            raft.log.commit_to(snapshot.metadata.index)
            return False
        return original(raft, snapshot)

    follower.restore = restore
