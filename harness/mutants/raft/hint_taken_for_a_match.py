"""A leader takes the place where logs may agree for one where they do."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import leader
from splitbrain.node.raft.message import Message
from splitbrain.node.raft.progress import Progress
from splitbrain.node.raft.state import RaftState

MUTANT = Mutant(
    what="a rejection's hint counts as an acknowledgement",
    source="etcd-io/raft, MsgAppResp: RejectHint says where to probe, and proves nothing",
    found_by=("invariants", "write_path"),
)


def plant() -> None:
    honest = leader.on_rejection

    def on_rejection(raft: RaftState, progress: Progress, message: Message) -> None:
        honest(raft, progress, message)
        progress.acknowledge(min(message.reject_hint, raft.log.last_index))

    leader.on_rejection = on_rejection
