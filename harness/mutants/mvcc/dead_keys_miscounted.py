"""A compaction counts each deletion that it forgets, not each key that is gone."""

from __future__ import annotations

from array import array

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.key_index import KeyIndex
from splitbrain.node.mvcc.revision import is_tombstone

MUTANT = Mutant(
    what="after a compaction deleted keys show in intervals",
    source="an account of deleted keys beside the index; etcd walks its tree (treeIndex.Compact)",
    found_by=("mvcc",),
)


def plant() -> None:
    honest = KeyIndex.compact

    def compact(self: KeyIndex, main: int) -> array[int]:
        dead = self._dead
        forgotten = honest(self, main)
        self._dead = max(dead - sum(1 for packed in forgotten if is_tombstone(packed)), 0)
        return forgotten

    KeyIndex.compact = compact  # type: ignore[method-assign]
