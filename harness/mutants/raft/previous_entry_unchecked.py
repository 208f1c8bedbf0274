"""Bug: a follower appends after any entry that it has, whatever the term of that entry."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import follower
from splitbrain.node.raft.log import Log
from splitbrain.node.raft.message import Index, Term

MUTANT = Mutant(
    what="the term of the entry before the new entries is not checked",
    source="Raft paper, 5.3: the consistency check; ktoso/akka-raft issue 32",
    found_by=("invariants", "mvcc"),
)


def plant() -> None:
    def log_matches(log: Log, index: Index, term: Term) -> bool:
        return index <= log.last_index

    follower.log_matches = log_matches
