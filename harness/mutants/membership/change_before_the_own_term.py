"""Bug: a new leader accepts a change of the members before it commits an entry of its term.

Such an entry would show that all earlier changes are committed.
"""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import MEMBERS_HUNT, Mutant
from splitbrain.node.raft import election
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="a new leader accepts a change while a change of an earlier term is in its log",
    source="Ongaro, bug in single-server membership changes (raft-dev, 2015): a leader first "
    "commits an entry of its term; etcd-io/raft, becomeLeader sets pendingConfIndex",
    found_by=("invariants",),
    hunt=MEMBERS_HUNT,
)


def plant() -> None:
    original = election.become_leader

    def become_leader(raft: RaftState) -> None:
        original(raft)
        raft.pending_conf_index = 0

    election.become_leader = become_leader
