"""Bug: every put sets the create revision of its key."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc import write_transaction

MUTANT = Mutant(
    what="the create revision changes with each put",
    source="etcd's mvccpb/kv.proto: create_revision is the revision of the last creation on the"
    " key",
    found_by=("mvcc",),
)


def plant() -> None:
    write_transaction.create_revision_of = lambda previous, main: main  # type: ignore[attr-defined]
