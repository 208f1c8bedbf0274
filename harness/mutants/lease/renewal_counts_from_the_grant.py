"""Bug: a keep-alive is answered with success, but does not extend the time of the lease."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.lease.lessor import Lessor

MUTANT = Mutant(
    what="a keep-alive does not extend the lease",
    source="etcd's Lease service: a keep-alive starts the time to live again",
    found_by=("lease",),
    hunt={"workload": "lease"},
)


def plant() -> None:
    Lessor.renew = lambda *_: None  # type: ignore[method-assign]
