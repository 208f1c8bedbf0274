"""A follower whose snapshot was lost is sent nothing any more."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import leader
from splitbrain.node.raft.message import MemberId
from splitbrain.node.raft.state import RaftState

MUTANT = Mutant(
    what="a leader waits for ever for a snapshot that got lost",
    source="etcd-io/raft, Progress: a follower in StateSnapshot is left by ReportSnapshot alone,"
    " so that a report that is lost leaves it behind; tikv/tikv issue 9859",
    found_by=("invariants", "availability"),
)


def plant() -> None:
    def on_snapshot_status(raft: RaftState, member: MemberId, *, delivered: bool) -> None:
        """Nothing is made of it."""

    leader.on_snapshot_status = on_snapshot_status
