"""Bug: a leader counts the acknowledgements of learners."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import MEMBERS_HUNT, Mutant
from splitbrain.node.raft import commit
from splitbrain.node.raft.quorum import quorum_index
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="an entry is committed when a majority of all members, with the learners, has it",
    source="Raft thesis, 4.2.1: a learner does not count for majorities",
    found_by=("invariants",),
    hunt=MEMBERS_HUNT,
)


def plant() -> None:
    original = commit.maybe_commit

    def maybe_commit(raft: RaftState) -> bool:
        matches = {member: one.match for member, one in raft.progress.items()}
        if raft.learners:
            index = quorum_index(tuple(matches), matches)
            if index > raft.log.committed and raft.log.term_at(index) == raft.term:
                raft.log.commit_to(index)
                return True
        return original(raft)

    commit.maybe_commit = maybe_commit
