"""A compacted log names an earlier term for the entry that it ends the past with."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.log import Log
from splitbrain.node.raft.message import Index

MUTANT = Mutant(
    what="the term before the first entry is that of an earlier compaction",
    source="etcd-io/raft, MemoryStorage.Compact: the dummy entry takes index and term",
    found_by=("invariants", "availability", "mvcc"),
)


def plant() -> None:
    honest = Log.compact

    def compact(self: Log, index: Index) -> None:
        term = self._compacted_term
        honest(self, index)
        if term:
            self._compacted_term = term

    Log.compact = compact  # type: ignore[method-assign]
