"""A voter holds the length of a candidate's log against its own before the terms."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import election
from splitbrain.node.raft.log import Log
from splitbrain.node.raft.message import Index, Term

MUTANT = Mutant(
    what="a longer log of an older term wins the votes of members that hold what is committed",
    source="Raft paper, 5.4.1: the later term is more up to date, whatever the lengths",
    found_by=("invariants", "write_path"),
)


def plant() -> None:
    def log_is_up_to_date(log: Log, last_index: Index, last_term: Term) -> bool:
        return (last_index, last_term) >= (log.last_index, log.last_term)

    election.log_is_up_to_date = log_is_up_to_date
