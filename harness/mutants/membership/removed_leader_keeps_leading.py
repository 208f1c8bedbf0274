"""Bug: a leader continues to lead after its own removal."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import MEMBERS_HUNT, Mutant
from splitbrain.node.raft import apply_confchange
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="a leader that was removed does not step down",
    source="Raft thesis, 4.2.2: a removed leader steps down when the change is committed",
    found_by=("invariants",),
    hunt=MEMBERS_HUNT,
)


def plant() -> None:
    original = apply_confchange._lead_on

    def lead_on(raft: RaftState) -> None:
        if raft.id in raft.conf_state.all_voters:
            original(raft)

    apply_confchange._lead_on = lead_on
