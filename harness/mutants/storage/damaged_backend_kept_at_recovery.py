"""Bug: a member that recovers keeps its backend although the backend is damaged."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node import member_storage
from splitbrain.node.backend import Backend
from splitbrain.node.world import Disk

MUTANT = Mutant(
    what="a member recovers from its peers on top of a backend that lacks changes",
    source="Alagappan et al., FAST 2018 (protocol-aware recovery): a node must not build on"
    " a damaged state machine",
    found_by=("mvcc", "watch", "invariants"),
    hunt={"nemesis": ("storage",)},
)


def plant() -> None:
    async def _complete_backend(disk: Disk) -> Backend:
        return disk.open_backend(member_storage.BACKEND)

    member_storage._complete_backend = _complete_backend
