"""Bug: a query of a lease is always answered with the whole time to live."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.lease.lessor import Lessor
from splitbrain.node.mvcc.lease_table import Lease

MUTANT = Mutant(
    what="the remaining time in an answer is always the granted time",
    source="etcd issue 17642: a wrong time to live in the answer to a query",
    found_by=("lease",),
    hunt={"workload": "lease", "swarm": False, "nemesis": ()},
)


def plant() -> None:
    def remaining_s(self: Lessor, lease: Lease) -> int:
        return lease.ttl_s

    Lessor.remaining_s = remaining_s  # type: ignore[method-assign]
