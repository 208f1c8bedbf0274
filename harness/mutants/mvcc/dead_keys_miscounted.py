"""Bug: after a compaction, the index counts fewer deleted keys than it contains."""

from __future__ import annotations

from array import array

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.key_index import KeyIndex
from splitbrain.node.mvcc.revision import is_tombstone

MUTANT = Mutant(
    what="after a compaction, ranges contain deleted keys",
    source="this project's own count of deleted keys in its index; etcd walks its tree instead"
    " (treeIndex.Compact)",
    found_by=("mvcc",),
)


def plant() -> None:
    original = KeyIndex.compact

    def compact(self: KeyIndex, main: int) -> array[int]:
        dead = self._dead
        forgotten = original(self, main)
        self._dead = max(dead - sum(1 for packed in forgotten if is_tombstone(packed)), 0)
        return forgotten

    KeyIndex.compact = compact  # type: ignore[method-assign]
