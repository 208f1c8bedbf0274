"""Bug: a deposed leader goes on to end leases, because it does not check its term."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply import lease_requests
from splitbrain.node.lease.lessor import Lessor

MUTANT = Mutant(
    what="a deposed leader ends leases that the new leader has renewed",
    source="etcd issue 15247: a paused or slow leader revoked leases after another leader had"
    " renewed them",
    found_by=("lease",),
    hunt={"workload": "lease"},
)


def plant() -> None:
    lease_requests.is_of_term = lambda *_: True
    Lessor.role_changed = lambda *_: None  # type: ignore[method-assign]
    Lessor.primary_term = property(lambda self: self._term)  # type: ignore[assignment, method-assign]
