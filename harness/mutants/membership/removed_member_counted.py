"""Bug: a leader counts the acknowledgements and votes of a removed member."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import MEMBERS_HUNT, Mutant
from splitbrain.node.raft import confchange
from splitbrain.node.raft.confchange import ConfChange, ConfChangeType
from splitbrain.node.raft.message import ConfState

MUTANT = Mutant(
    what="after a removal, the removed member still counts for majorities",
    source="Raft thesis, 4.1: a server uses the latest configuration",
    found_by=("invariants",),
    hunt=MEMBERS_HUNT,
)


def plant() -> None:
    original = confchange.change_one

    def change_one(before: ConfState, change: ConfChange) -> ConfState:
        after = original(before, change)
        if change.changes[0].type is not ConfChangeType.REMOVE_NODE:
            return after
        return ConfState(before.voters, after.learners)

    confchange.change_one = change_one
