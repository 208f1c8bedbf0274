"""Bug: a leader transfers its leadership before the transferee has the leader's log."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import TRANSFER_HUNT, Mutant
from splitbrain.node.raft import leader
from splitbrain.node.raft.message import MemberId
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="a transfer does not wait until the transferee has caught up",
    source="Raft thesis, 3.10: the leader first brings the target's log up to date",
    found_by=("invariants",),
    hunt=TRANSFER_HUNT,
)


def plant() -> None:
    original = leader.transfer

    def transfer(raft: RaftState, to: MemberId) -> None:
        original(raft, to)
        if raft.transferee == to:
            leader.send_timeout_now(raft, to)

    leader.transfer = transfer
