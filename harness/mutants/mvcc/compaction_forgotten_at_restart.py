"""A member that starts again does not know what was compacted."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.store import NOT_COMPACTED, Store

MUTANT = Mutant(
    what="after a restart a member shows what it had compacted",
    source="etcd-io/etcd issue 17780 (a restart in the middle of a compaction: revisions go back)",
    found_by=("mvcc", "invariants"),
)


def plant() -> None:
    honest = Store._load

    def _load(self: Store) -> None:
        honest(self)
        self._compacted = NOT_COMPACTED

    Store._load = _load  # type: ignore[method-assign]
