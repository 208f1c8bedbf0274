"""Bug: a keep-alive renews an expired lease although the leader is already ending the lease."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.lease.lessor import Lessor

MUTANT = Mutant(
    what="a keep-alive renews a lease whose end is already under way",
    source="etcd's lessor: a renewal of an expired lease waits for its revocation",
    found_by=("lease",),
    hunt={"workload": "lease"},
)


def plant() -> None:
    original = Lessor._propose_end

    def _propose_end(self: Lessor, lease_id: int, now: int) -> None:
        def later() -> None:
            if lease_id in self._times:
                original(self, lease_id, now)

        self._clock.call_later(0.5, later)

    Lessor._propose_end = _propose_end  # type: ignore[method-assign]
    Lessor.has_expired = lambda *_: False  # type: ignore[method-assign]
