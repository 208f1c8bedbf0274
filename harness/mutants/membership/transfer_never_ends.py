"""Bug: a leader whose transferee does not take over refuses proposals for ever."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import TRANSFER_HUNT, Mutant
from splitbrain.node.raft import leader
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="a transfer is not given up after an election timeout",
    source="etcd-io/raft, abortLeaderTransfer after an election timeout",
    found_by=("invariants",),
    hunt=TRANSFER_HUNT,
)


def plant() -> None:
    original = leader.check_quorum

    def check_quorum(raft: RaftState) -> None:
        transferee = raft.transferee
        original(raft)
        raft.transferee = transferee if raft.progress else raft.transferee

    leader.check_quorum = check_quorum
