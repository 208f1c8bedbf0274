"""Bug: a candidate counts a late pre-vote response as a vote."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import candidate
from splitbrain.node.raft.message import MessageType
from splitbrain.node.raft.raft import HANDLERS
from splitbrain.node.raft.ready import Role

MUTANT = Mutant(
    what="a candidate counts pre-vote grants as votes",
    source="Raft thesis, 9.6: a pre-vote is not a promise; etcd-io/raft distinguishes the two"
    " kinds of response (stepCandidate)",
    found_by=("invariants",),
)


def plant() -> None:
    HANDLERS[Role.CANDIDATE][MessageType.PRE_VOTE_RESP] = candidate.on_vote_response
