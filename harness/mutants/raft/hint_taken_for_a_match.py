"""Bug: a leader treats the hint in a rejected append as a match."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import leader
from splitbrain.node.raft.message import Message
from splitbrain.node.raft.progress import Progress
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="the hint of a rejection counts as an acknowledgement",
    source="etcd-io/raft, MsgAppResp: RejectHint is where to probe next, not a proof of a match",
    found_by=("invariants", "write_path"),
)


def plant() -> None:
    original = leader.on_rejection

    def on_rejection(raft: RaftState, progress: Progress, message: Message) -> None:
        original(raft, progress, message)
        progress.acknowledge(min(message.reject_hint, raft.log.last_index))

    leader.on_rejection = on_rejection
