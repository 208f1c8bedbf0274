"""Bug: the member does not apply the first entry after a restored snapshot."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply import applier
from splitbrain.node.apply.applier import Applier
from splitbrain.node.mvcc.store import Store
from splitbrain.node.raft.message import Entry, Snapshot

MUTANT = Mutant(
    what="the entry after a restored snapshot is not applied",
    source="Raft paper, figure 13: entries after the last included index follow the snapshot;"
    " etcd-io/etcd issue 20426",
    found_by=("invariants", "mvcc"),
)


def plant() -> None:
    original_restore, original_is_applied = Applier._restore, applier.is_applied
    restored: dict[int, Store] = {}

    async def _restore(self: Applier, snapshot: Snapshot) -> None:
        await original_restore(self, snapshot)
        restored[id(self._store)] = self._store

    def is_applied(store: Store, entry: Entry) -> bool:
        done = original_is_applied(store, entry)
        return done or restored.pop(id(store), None) is not None

    Applier._restore = _restore  # type: ignore[method-assign]
    applier.is_applied = is_applied
