"""Bug: a snapshot contains the configuration of the cluster's first start."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import MEMBERS_HUNT, Mutant
from splitbrain.node.raft.message import ConfState, Index
from splitbrain.node.raft.raft_state import RaftState

MUTANT = Mutant(
    what="a member that restores a snapshot returns to the first configuration",
    source="Raft thesis, 5.1: a snapshot contains the latest configuration as of its index",
    found_by=("invariants",),
    hunt=MEMBERS_HUNT,
)


def plant() -> None:
    def configuration_at(self: RaftState, index: Index) -> ConfState:
        return ConfState(tuple(sorted(self.config.voters)))

    RaftState.configuration_at = configuration_at  # type: ignore[method-assign]
