"""Bug: a member that receives a snapshot keeps the compacted revision that it had before."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.store import Store

MUTANT = Mutant(
    what="after a snapshot a member serves reads at revisions that the snapshot does not contain",
    source="etcd's store.Restore: compactMainRev is read from the new backend",
    found_by=("mvcc", "watch"),
)


def plant() -> None:
    original = Store.restore

    def restore(self: Store) -> None:
        before = self._compacted
        original(self)
        self._compacted = before

    Store.restore = restore  # type: ignore[method-assign]
