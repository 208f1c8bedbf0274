"""Bug: a leader treats an acknowledgement as covering all entries that it has sent."""

from __future__ import annotations

import msgspec

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import leader
from splitbrain.node.raft.message import Message
from splitbrain.node.raft.progress import Progress
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="a follower's match index is set to the last sent entry, not to the acknowledged entry",
    source="adjoint-io/raft pull request 130 (matchIndex was set to nextIndex - 1)",
    found_by=("invariants", "write_path"),
)


def plant() -> None:
    original = leader.on_acknowledgement

    def on_acknowledgement(raft: RaftState, progress: Progress, message: Message) -> None:
        sent = max(message.index, min(progress.next - 1, raft.log.last_index))
        original(raft, progress, msgspec.structs.replace(message, index=sent))

    leader.on_acknowledgement = on_acknowledgement
