"""A pre-vote that comes late, when its candidate runs already, is counted as its vote."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import candidate
from splitbrain.node.raft.message import MessageType
from splitbrain.node.raft.raft import HANDLERS
from splitbrain.node.raft.ready import Role

MUTANT = Mutant(
    what="a candidate counts grants of the pre-vote before as votes",
    source="Raft thesis, 9.6: a pre-vote promises nothing; etcd-io/raft keeps the kinds apart"
    " (stepCandidate)",
    found_by=("invariants",),
)


def plant() -> None:
    HANDLERS[Role.CANDIDATE][MessageType.PRE_VOTE_RESP] = candidate.on_vote_response
