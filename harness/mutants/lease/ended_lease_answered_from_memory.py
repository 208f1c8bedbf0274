"""Bug: a member answers the keep-alive of an ended lease with the lease's former time to live."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.lease.keep_alive import LeaseService

MUTANT = Mutant(
    what="a keep-alive of an ended lease is answered with its former time to live",
    source="etcd's LeaseKeepAlive answers with a time to live of 0 if the lease has ended",
    found_by=("lease",),
    hunt={"workload": "lease"},
)


def plant() -> None:
    original = LeaseService.keep_alive
    remembered: dict[tuple[int, int], int] = {}

    async def keep_alive(self: LeaseService, lease_id: int) -> int:
        ttl = await original(self, lease_id)
        if ttl:
            remembered[self._member_id, lease_id] = ttl
        return ttl or remembered.get((self._member_id, lease_id), 0)

    LeaseService.keep_alive = keep_alive  # type: ignore[method-assign]
