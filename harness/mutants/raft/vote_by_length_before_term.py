"""Bug: a voter compares the lengths of two logs before their last terms."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import election
from splitbrain.node.raft.log import Log
from splitbrain.node.raft.message import Index, Term

MUTANT = Mutant(
    what="a longer log with an older last term wins votes of members that have committed entries",
    source="Raft paper, 5.4.1: the log with the later term is more up to date, whatever its length",
    found_by=("invariants", "write_path"),
)


def plant() -> None:
    def log_is_up_to_date(log: Log, last_index: Index, last_term: Term) -> bool:
        return (last_index, last_term) >= (log.last_index, log.last_term)

    election.log_is_up_to_date = log_is_up_to_date
