"""Bug: a leader assumes that a new member has its whole log."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import MEMBERS_HUNT, Mutant
from splitbrain.node.raft import apply_confchange
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="the progress of a new member begins as if it had acknowledged the leader's log",
    source="Raft thesis, 4.2.1: a new server has an empty log",
    found_by=("invariants",),
    hunt=MEMBERS_HUNT,
)


def plant() -> None:
    original = apply_confchange._update_progress

    def update_progress(raft: RaftState) -> None:
        known = set(raft.progress)
        original(raft)
        for member, one in raft.progress.items():
            if member not in known:
                one.match = raft.log.committed

    apply_confchange._update_progress = update_progress
