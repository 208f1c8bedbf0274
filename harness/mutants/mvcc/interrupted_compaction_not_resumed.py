"""Bug: a member that crashed during a compaction does not remove the other compacted changes."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.store import Store

MUTANT = Mutant(
    what="a compaction that a crash interrupts is not resumed, and the hashes of members differ",
    source="etcd-io/etcd issue 17780; restore in server/storage/mvcc/kvstore.go schedules the"
    " compaction again",
    found_by=("invariants", "mvcc"),
)


def plant() -> None:
    load, forget = Store._load, Store._forget

    def loaded(self: Store) -> None:
        Store._forget = lambda self: None  # type: ignore[method-assign]
        try:
            load(self)
        finally:
            Store._forget = forget  # type: ignore[method-assign]

    Store._load = loaded  # type: ignore[method-assign]
