"""Bug: a compaction to a revision that does not exist yet compacts to the newest revision."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.store import Store

MUTANT = Mutant(
    what="a compaction to a future revision succeeds, and compacts to the newest one",
    source="etcd's mvcc, checkCompaction: ErrFutureRev",
    found_by=("mvcc",),
    hunt={"workload": "kv"},
)


def plant() -> None:
    original = Store.compact

    def compact(self: Store, revision: int) -> None:
        original(self, min(revision, self.revision))

    Store.compact = compact  # type: ignore[method-assign]
