"""A leader that steps down keeps the size of its proposals."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import PARTITION_HUNT, Mutant
from splitbrain.node.raft.state import RaftState

MUTANT = Mutant(
    what="the limit of uncommitted bytes is used up by earlier leaderships",
    source="etcd-io/etcd pull request 10167: the size is reset with the role",
    found_by=("invariants",),
    hunt=PARTITION_HUNT,
)


def plant() -> None:
    original = RaftState.forget_leadership

    def forget_leadership(self: RaftState) -> None:
        size = self.uncommitted_bytes
        original(self)
        self.uncommitted_bytes = size

    RaftState.forget_leadership = forget_leadership  # type: ignore[method-assign]
