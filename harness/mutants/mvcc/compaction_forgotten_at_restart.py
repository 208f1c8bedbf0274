"""Bug: a restarted member does not know the compacted revision."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.store import NOT_COMPACTED, Store

MUTANT = Mutant(
    what="a restarted member serves reads at compacted revisions",
    source="etcd-io/etcd issue 17780 (a restart in the middle of a compaction: revisions go back)",
    found_by=("mvcc", "invariants"),
)


def plant() -> None:
    original = Store._load

    def _load(self: Store) -> None:
        original(self)
        self._compacted = NOT_COMPACTED

    Store._load = _load  # type: ignore[method-assign]
