"""Bug: a put with a lease that does not exist is applied."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply import store_requests

MUTANT = Mutant(
    what="a put with an unknown lease is accepted",
    source="etcd's apply looks up the lease of a put before it writes (apply.go)",
    found_by=("lease",),
    hunt={"workload": "lease"},
)


def plant() -> None:
    store_requests.check_lease = lambda *_: None
