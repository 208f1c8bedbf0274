"""Bug: a keep-alive does not replace the remaining time that a leader has recorded."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.lease.lessor import Lessor

MUTANT = Mutant(
    what="a new leader starts a renewed lease with the time that was recorded before the renewal",
    source="etcd's lessor.Renew, which clears a recorded remaining time first",
    found_by=("lease",),
    hunt={"workload": "lease"},
)


def plant() -> None:
    Lessor.is_recorded = lambda self, lease: False  # type: ignore[method-assign]
