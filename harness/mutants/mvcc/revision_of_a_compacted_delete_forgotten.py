"""After a restart, the store is behind a compaction that removed its newest change."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.revision import main_of
from splitbrain.node.mvcc.store import Store

MUTANT = Mutant(
    what="the revision goes back at a restart if the newest change was a delete that is compacted",
    source="etcd's store.restore: currentRev is at least the compacted revision",
    found_by=("invariants",),
)


def plant() -> None:
    original = Store._load

    def _load(self: Store) -> None:
        original(self)
        if self._changes:
            self.revision = min(self.revision, main_of(self._changes[-1]))

    Store._load = _load  # type: ignore[method-assign]
