"""Bug: after a restart the member keeps log entries that a received snapshot has replaced."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node import member_storage

MUTANT = Mutant(
    what="entries that a received snapshot replaced come back after a restart",
    source="etcd-io/etcd issue 10358",
    found_by=("invariants",),
)


def plant() -> None:
    member_storage.consistent_tail = lambda after, entries: entries
