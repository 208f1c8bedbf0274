"""Bug: a member grants its vote without a check of the candidate's log."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import election

MUTANT = Mutant(
    what="a candidate whose log lacks committed entries gets votes",
    source="Raft paper, 5.4.1: the voter denies its vote if its own log is more up to date",
    found_by=("invariants", "mvcc"),
)


def plant() -> None:
    election.log_is_up_to_date = lambda log, last_index, last_term: True
