"""Bug: a follower keeps conflicting entries, and appends only entries beyond its log's end."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.log import Log
from splitbrain.node.raft.message import Entry, Index

MUTANT = Mutant(
    what="entries of a deposed leader are not replaced by those of the new leader",
    source="Raft paper, 5.3 and figure 2: an entry that conflicts is deleted with all that"
    " follow it",
    found_by=("invariants", "mvcc"),
)


def plant() -> None:
    def find_conflict(self: Log, entries: Sequence[Entry]) -> Index:
        return next((entry.index for entry in entries if entry.index > self.last_index), 0)

    Log.find_conflict = find_conflict  # type: ignore[method-assign]
