"""Bug: the primary lessor never proposes the end of a lease."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.lease.lessor import Lessor

MUTANT = Mutant(
    what="leases never expire",
    source="etcd's Lease service: a lease ends when its time to live has passed",
    found_by=("lease",),
    hunt={
        "workload": "lease",
        "workload_options": {"keys": 300},
        "time_limit_s": 15.0,
        "swarm": False,
        "nemesis": (),
    },
)


def plant() -> None:
    Lessor._propose_end = lambda *_: None  # type: ignore[method-assign]
