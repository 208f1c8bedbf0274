"""Bug: a leader does not resend a lost append until it has something new to send."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import leader
from splitbrain.node.raft.progress import Progress
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="heartbeat responses do not make the leader resend a lost append",
    source="Raft paper, 5.3: the leader retries AppendEntries indefinitely",
    found_by=("invariants", "availability"),
)


def plant() -> None:
    def nudge(raft: RaftState, progress: Progress) -> None:
        """Do nothing. The correct function resends a lost append."""

    leader.nudge = nudge
