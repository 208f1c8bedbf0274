"""A new leader accepts a change before it has applied its log."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import MEMBERS_HUNT, Mutant
from splitbrain.node.raft import election
from splitbrain.node.raft.state import RaftState

MUTANT = Mutant(
    what="a new leader does not wait until it has applied a change that its log contains",
    source="Ongaro, 'bug in single-server membership changes', raft-dev, 2015: no change before "
    "the leader has committed an entry of its own term",
    found_by=("invariants",),
    hunt=MEMBERS_HUNT,
)


def plant() -> None:
    original = election.become_leader

    def become_leader(raft: RaftState) -> None:
        original(raft)
        raft.pending_conf_index = 0

    election.become_leader = become_leader
