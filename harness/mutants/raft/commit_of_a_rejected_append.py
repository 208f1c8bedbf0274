"""Bug: a follower that rejects an append still adopts the commit index of the append."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import follower
from splitbrain.node.raft.message import Message
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="entries are committed that were not shown to match the leader's log",
    source="scylladb/scylladb issue 9965; atomix/copycat issue 265; apache/ratis pull request 289;"
    " Raft paper, figure 2: min(leaderCommit, index of last new entry)",
    found_by=("invariants", "mvcc"),
)


def plant() -> None:
    original = follower.reject_append

    def reject_append(raft: RaftState, message: Message) -> None:
        raft.log.commit_to(min(message.commit, raft.log.last_index))
        original(raft, message)

    follower.reject_append = reject_append
