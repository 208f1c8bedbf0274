"""Bug: a leader appends proposals while it transfers its leadership."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import TRANSFER_HUNT, Mutant
from splitbrain.node.raft import leader
from splitbrain.node.raft.errors import DropReason, ProposalDropped
from splitbrain.node.raft.message import EntryType
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="a leader appends entries during a transfer, which the new leader may lack",
    source="Raft thesis, 3.10: the leader stops accepting new requests",
    found_by=("invariants",),
    hunt=TRANSFER_HUNT,
)


def plant() -> None:
    def propose(raft: RaftState, data: bytes, kind: EntryType = EntryType.NORMAL) -> None:
        if raft.id not in raft.progress:
            raise ProposalDropped(DropReason.REMOVED)
        if not leader.has_room(raft, len(data)):
            raise ProposalDropped(DropReason.TOO_MUCH_UNCOMMITTED)
        raft.uncommitted_bytes += len(data)
        raft.append_own(data, kind)

    leader.propose = propose
