"""Bug: a member that believes it is leader renews leases without confirmation by a majority."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.lease.keep_alive import LeaseService

MUTANT = Mutant(
    what="a deposed leader answers keep-alives",
    source="etcd's LeaseRenew, which asks no other member; Raft thesis, 6.4",
    found_by=("lease",),
    hunt={"workload": "lease", "nemesis": ("pause",)},
)


def plant() -> None:
    async def confirmed() -> None:
        return

    original = LeaseService.__init__

    def __init__(self: LeaseService, **parts: object) -> None:
        original(self, **{**parts, "read_barrier": confirmed})  # type: ignore[arg-type]

    LeaseService.__init__ = __init__  # type: ignore[method-assign]
