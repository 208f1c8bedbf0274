"""A member that was given a snapshot goes by the compacted revision that it had before."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.store import Store

MUTANT = Mutant(
    what="after a snapshot a member answers reads of what the snapshot lacks",
    source="etcd, store.Restore: compactMainRev is read from the new backend",
    found_by=("mvcc", "watch"),
)


def plant() -> None:
    honest = Store.restore

    def restore(self: Store) -> None:
        before = self._compacted
        honest(self)
        self._compacted = before

    Store.restore = restore  # type: ignore[method-assign]
