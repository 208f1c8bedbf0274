"""Bug: a compaction also removes the newest change at or before its revision."""

from __future__ import annotations

from array import array

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc import key_index

MUTANT = Mutant(
    what="a compaction removes values that are still visible",
    source="etcd's server/storage/mvcc/key_index.go, compact: the largest revision at or before"
    " the compacted one is kept; etcd-io/etcd issue 18089",
    found_by=("mvcc", "invariants"),
)


def plant() -> None:
    original = key_index.first_kept

    def first_kept(changes: array[int], main: int) -> int:
        first = original(changes, main)
        return min(first + 1, len(changes) - 1) if first else first

    key_index.first_kept = first_kept
