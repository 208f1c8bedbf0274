"""Bug: the answer to a keep-alive contains the time that was left before the renewal."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.lease.keep_alive import Answer, LeaseService

MUTANT = Mutant(
    what="a keep-alive is answered with the time that the lease had left, not with the whole time",
    source="etcd's LeaseKeepAlive answers with the time to live after the renewal",
    found_by=("lease",),
    hunt={"workload": "lease"},
)


def plant() -> None:
    original = LeaseService._renew

    async def _renew(self: LeaseService, lease_id: int, term: int) -> Answer:
        lease = self._table.get(lease_id)
        left_s = 0 if lease is None else self._lessor.remaining_s(lease)
        answer = await original(self, lease_id, term)
        if not answer.exists:
            return answer
        return Answer(True, max(1, left_s), answer.remaining_s)

    LeaseService._renew = _renew  # type: ignore[method-assign]
