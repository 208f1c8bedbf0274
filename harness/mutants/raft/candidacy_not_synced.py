"""Bug: a candidate requests votes, and counts its own, before term and vote are durable."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import election
from splitbrain.node.raft.message import MessageType
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="a candidate counts its own vote before the vote is durable",
    source="valkey-io/valkey pull request 3887 (review: no RequestVote before the self-vote is"
    " durable); etcd-io/raft counts a candidate's own vote once it is persisted",
    found_by=("invariants", "raft_safety"),
)


def plant() -> None:
    def run_for_vote(raft: RaftState, context: bytes = b"") -> None:
        election.become_candidate(raft)
        for member in raft.conf_state.all_voters:
            if member != raft.id:
                request = election._vote_request(
                    raft, MessageType.VOTE, member, raft.term, context
                )
                raft.send(request)
        election.record_vote(raft, raft.id, granted=True)

    election.run_for_vote = run_for_vote
