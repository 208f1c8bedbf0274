"""Bug: a candidate keeps the votes that it received in earlier terms."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import election
from splitbrain.node.raft.message import Term
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="a candidate counts votes of an earlier term",
    source="Raft paper, 5.2; andreev-io/little-raft issue 44: votes of a stale term elect two"
    " leaders",
    found_by=("invariants", "raft_safety"),
)


def plant() -> None:
    original = election._enter_term

    def _enter_term(raft: RaftState, term: Term) -> None:
        votes = raft.votes
        original(raft, term)
        raft.votes = votes

    election._enter_term = _enter_term
