"""Bug: a member grants its vote to every candidate of a term."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import election

MUTANT = Mutant(
    what="a member votes for more than one candidate in a term",
    source="Raft paper, 5.2 and figure 2: one vote a term, first come, first served",
    found_by=("invariants", "raft_safety"),
)


def plant() -> None:
    election.vote_is_free = lambda raft, message: True
