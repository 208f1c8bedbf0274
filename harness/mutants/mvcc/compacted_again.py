"""Bug: a second compaction to the same revision succeeds."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.store import Store

MUTANT = Mutant(
    what="a compaction to the revision that is already compacted is not refused",
    source="etcd's store.Compact: ErrCompacted if the revision is not above the compacted one",
    found_by=("mvcc",),
)


def plant() -> None:
    original = Store.compact

    def compact(self: Store, revision: int) -> None:
        if revision != self.compacted_revision:
            original(self, revision)

    Store.compact = compact  # type: ignore[method-assign]
