"""Bug: all changes of a transaction have the same sub-revision, so they overwrite each other."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.key_value import KeyValue
from splitbrain.node.mvcc.store import Store

MUTANT = Mutant(
    what="the changes of a transaction overwrite each other in the backend",
    source="etcd's server/storage/mvcc/revision.go: sub is the change's number within the main"
    " revision",
    found_by=("mvcc", "invariants"),
)


def plant() -> None:
    original = Store.record_change

    def record_change(self: Store, kv: KeyValue, sub: int, *, tombstone: bool) -> None:
        original(self, kv, 0, tombstone=tombstone)

    Store.record_change = record_change  # type: ignore[method-assign]
