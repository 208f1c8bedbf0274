"""Bug: a candidate asks learners for votes, and counts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from splitbrain.harness.mutants.mutant import JOINT_HUNT, Mutant
from splitbrain.node.raft import election, quorum
from splitbrain.node.raft.message import MessageType
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="a candidate is elected by a majority of all members, with the learners",
    source="Raft thesis, 4.2.1: a learner does not count for majorities",
    found_by=("invariants", "raft_safety"),
    hunt=JOINT_HUNT,
)


def plant() -> None:
    run_for_pre_vote, run_for_vote = election.run_for_pre_vote, election.run_for_vote

    def ask_learners(raft: RaftState, kind: MessageType, term: int) -> None:
        for learner in raft.learners:
            raft.send_after_sync(election._vote_request(raft, kind, learner, term))

    def pre_vote(raft: RaftState) -> None:
        run_for_pre_vote(raft)
        ask_learners(raft, MessageType.PRE_VOTE, raft.term + 1)

    def vote(raft: RaftState, context: bytes = b"") -> None:
        run_for_vote(raft, context)
        ask_learners(raft, MessageType.VOTE, raft.term)

    original = quorum.joint_tally

    def record_vote(raft: RaftState, member: int, *, granted: bool) -> None:
        def joint_tally(
            voters: Sequence[int], outgoing: Sequence[int], votes: Mapping[int, bool]
        ) -> quorum.VoteResult:
            return original((*voters, *raft.learners), outgoing, votes)

        quorum.joint_tally = joint_tally
        try:
            recorded(raft, member, granted=granted)
        finally:
            quorum.joint_tally = original

    recorded = election.record_vote
    election.run_for_pre_vote, election.run_for_vote = pre_vote, vote
    election.record_vote = record_vote
