"""Bug: a transaction that changes nothing increases the revision."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.write_transaction import WriteTransaction

MUTANT = Mutant(
    what="the revision increases although nothing changed",
    source="etcd's API guarantees: the revision is increased by each modification of the store",
    found_by=("mvcc",),
)


def plant() -> None:
    def revision(self: WriteTransaction) -> int:
        return self._main

    WriteTransaction.revision = property(revision)  # type: ignore[assignment, method-assign]
