"""Bug: a member that is behind answers a read at a future revision with its current state."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.revision import CompactedRevision
from splitbrain.node.mvcc.store import Store

MUTANT = Mutant(
    what="a read at a revision that the member has not reached is not refused",
    source="etcd's API: ErrFutureRev; kubernetes/kubernetes issue 59848, lists that went back in"
    " time",
    found_by=("mvcc",),
)


def plant() -> None:
    def _check_revision(self: Store, revision: int, current: int) -> None:
        if 0 < revision < self._compacted:
            raise CompactedRevision(revision, self._compacted)

    Store._check_revision = _check_revision  # type: ignore[method-assign]
