"""Bug: a read at an old revision returns the tombstone as if it were a value."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc import key_index
from splitbrain.node.mvcc.key_index import Changes
from splitbrain.node.mvcc.revision import Packed, main_of

MUTANT = Mutant(
    what="reads at old revisions return deleted keys",
    source="etcd's server/storage/mvcc/key_index.go: a generation ends with its tombstone",
    found_by=("mvcc",),
)


def plant() -> None:
    def visible_at(changes: Changes, main: int) -> Packed | None:
        revisions = [changes] if isinstance(changes, int) else changes
        found = [packed for packed in revisions if main_of(packed) <= main]
        return found[-1] if found else None

    key_index.visible_at = visible_at
