"""Bug: a leader accepts a change of the members while an earlier change is not applied."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import MEMBERS_HUNT, Mutant
from splitbrain.node.raft import apply_confchange
from splitbrain.node.raft.confchange import ConfChange
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="a leader appends a change of the configuration before it has applied the one before",
    source="Raft thesis, 4.1; RethinkDB 2.2.3's reconfiguration under partitions (Jepsen, 2016)",
    found_by=("invariants",),
    hunt=MEMBERS_HUNT,
)


def plant() -> None:
    def refusal(raft: RaftState, change: ConfChange) -> str:
        return ""

    apply_confchange.refusal = refusal
