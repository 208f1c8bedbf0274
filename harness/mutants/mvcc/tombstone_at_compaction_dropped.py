"""Bug: a compaction at the revision of a delete removes the tombstone of that delete."""

from __future__ import annotations

from array import array
from bisect import bisect_left

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc import key_index
from splitbrain.node.mvcc.revision import MAIN_SHIFT, is_tombstone

MUTANT = Mutant(
    what="a watch from the compacted revision lacks the delete at that revision",
    source="etcd-io/etcd issues 18089 and 19179, fixed by pull request 18274",
    found_by=("watch", "mvcc"),
)


def plant() -> None:
    def first_kept(changes: array[int], main: int) -> int:
        position = bisect_left(changes, (main + 1) << MAIN_SHIFT) - 1
        if position < 0:
            return 0
        return position + 1 if is_tombstone(changes[position]) else position

    key_index.first_kept = first_kept
