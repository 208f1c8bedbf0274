"""Bug: a voter compares only the last terms of two logs, not their lengths."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import election
from splitbrain.node.raft.log import Log
from splitbrain.node.raft.message import Index, Term

MUTANT = Mutant(
    what="a candidate with a shorter log of the same last term gets votes",
    source="Raft paper, 5.4.1: if the logs end with the same term, the longer one is more up to"
    " date",
    found_by=("invariants", "write_path"),
)


def plant() -> None:
    def log_is_up_to_date(log: Log, last_index: Index, last_term: Term) -> bool:
        return last_term >= log.last_term

    election.log_is_up_to_date = log_is_up_to_date
