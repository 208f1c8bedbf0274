"""Bug: a read at a compacted revision returns the keys that are left."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.revision import FutureRevision
from splitbrain.node.mvcc.store import Store

MUTANT = Mutant(
    what="reads at compacted revisions are not refused",
    source="etcd's API: ErrCompacted, required revision has been compacted",
    found_by=("mvcc",),
)


def plant() -> None:
    def _check_revision(self: Store, revision: int, current: int) -> None:
        if revision > current:
            raise FutureRevision(revision, current)

    Store._check_revision = _check_revision  # type: ignore[method-assign]
