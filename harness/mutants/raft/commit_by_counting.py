"""Bug: a leader commits an entry of an earlier term as soon as a majority has stored it."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import commit

MUTANT = Mutant(
    what="an entry of an earlier term is committed by counting replicas",
    source="Raft paper, 5.4.2 and figure 8",
    found_by=("invariants", "mvcc"),
)


def plant() -> None:
    commit.may_commit = lambda raft, index: True
