"""A follower to which an append got lost hears of it only when something new is proposed."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import leader
from splitbrain.node.raft.progress import Progress
from splitbrain.node.raft.state import RaftState

MUTANT = Mutant(
    what="the answers to heartbeats do not start a lost append again",
    source="Raft paper, 5.3: the leader retries AppendEntries indefinitely",
    found_by=("invariants", "availability"),
)


def plant() -> None:
    def nudge(raft: RaftState, progress: Progress) -> None:
        """Nobody is asked anything."""

    leader.nudge = nudge
