"""Bug: a new leader treats all leases as if their time had already passed."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.lease.lessor import Lessor

MUTANT = Mutant(
    what="a new leader lets all leases expire at once",
    source="etcd's lessor starts each lease again when its member becomes leader (Promote)",
    found_by=("lease",),
    hunt={"workload": "lease"},
)


def plant() -> None:
    original = Lessor.first_entry_applied

    def first_entry_applied(self: Lessor, term: int) -> None:
        known = self._term
        original(self, term)
        if self._term != known:
            for lease in self._table.all():
                self._start(lease, 0)

    Lessor.first_entry_applied = first_entry_applied  # type: ignore[method-assign]
