"""Bug: a keep-alive of a lease that was revoked is answered with success."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.lease.keep_alive import Answer, LeaseService

MUTANT = Mutant(
    what="a keep-alive of a lease that has ended is answered with a time to live",
    source="etcd releases before 3.5.23: a keep-alive can succeed after the revocation",
    found_by=("lease",),
    hunt={"workload": "lease"},
)


def plant() -> None:
    original = LeaseService._renew
    granted: dict[int, int] = {}

    async def _renew(self: LeaseService, lease_id: int, term: int) -> Answer:
        answer = await original(self, lease_id, term)
        if answer.exists:
            granted[lease_id] = answer.granted_s
        elif lease_id in granted:
            return Answer(True, granted[lease_id], granted[lease_id])
        return answer

    LeaseService._renew = _renew  # type: ignore[method-assign]
