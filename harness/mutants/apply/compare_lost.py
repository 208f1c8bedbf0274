"""Bug: a transaction runs its success branch, whatever the result of its comparisons."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import SHORT_RUN, Mutant
from splitbrain.node.apply import store_requests

MUTANT = Mutant(
    what="the comparisons of a transaction are ignored",
    source="etcd's API guarantees: a transaction is atomic, and its comparisons are valid at its"
    " revision",
    found_by=("mvcc", "linearizable"),
    run={**SHORT_RUN, "workload": "register", "nemesis": ()},
)


def plant() -> None:
    store_requests.compare_holds = lambda *_: True
