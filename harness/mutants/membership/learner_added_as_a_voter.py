"""Bug: a member that is added as a learner becomes a voter at once."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import MEMBERS_HUNT, Mutant
from splitbrain.node.raft import confchange
from splitbrain.node.raft.confchange import ConfChange, ConfChangeSingle, ConfChangeType
from splitbrain.node.raft.message import ConfState

MUTANT = Mutant(
    what="a new member votes and counts before it has the leader's log",
    source="Raft thesis, 4.2.1: a new server first joins as a non-voting member",
    found_by=("invariants",),
    hunt=MEMBERS_HUNT,
)


def plant() -> None:
    original = confchange.change_one

    def change_one(before: ConfState, change: ConfChange) -> ConfState:
        (one,) = change.changes
        if one.type is ConfChangeType.ADD_LEARNER_NODE:
            voter = ConfChangeSingle(ConfChangeType.ADD_NODE, one.member)
            change = ConfChange((voter,), change.transition, change.context)
        return original(before, change)

    confchange.change_one = change_one
