"""A transaction takes its success branch whatever its comparisons say."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import SHORT_RUN, Mutant
from splitbrain.node.apply import apply

MUTANT = Mutant(
    what="a comparison in a transaction is lost",
    source="etcd's API guarantees: a transaction is atomic and its guards hold at its revision",
    found_by=("mvcc", "linearizable"),
    run={**SHORT_RUN, "workload": "register", "nemesis": ()},
)


def plant() -> None:
    apply.compare_holds = lambda *_: True
