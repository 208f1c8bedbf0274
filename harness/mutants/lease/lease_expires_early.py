"""Bug: a lease expires after half of its time."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.lease.lessor import Lessor
from splitbrain.node.mvcc.lease_table import Lease

MUTANT = Mutant(
    what="the primary lets a lease expire after half of its time to live",
    source="etcd's Lease service: a lease lives at least its time to live after each keep-alive",
    found_by=("lease",),
    hunt={"workload": "lease"},
)


def plant() -> None:
    original = Lessor._start

    def _start(self: Lessor, lease: Lease, duration_ns: int) -> None:
        original(self, lease, duration_ns // 2)

    Lessor._start = _start  # type: ignore[method-assign]
