"""Bug: a leader counts its own entries towards a majority before they are synced."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import commit
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="the leader's own entries count before they are durable",
    source="Raft thesis, 10.2.1: a leader may replicate before its own write, but must not count"
    " itself before the write is done",
    found_by=("invariants", "write_path"),
)


def plant() -> None:
    def acknowledge_own_entries(raft: RaftState) -> None:
        own = raft.progress.get(raft.id)
        if own is not None and own.acknowledge(raft.log.last_index):
            commit.maybe_commit(raft)

    commit.acknowledge_own_entries = acknowledge_own_entries
