"""Bug: after a compaction the log keeps the term of an earlier compaction point."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.log import Log
from splitbrain.node.raft.message import Index

MUTANT = Mutant(
    what="the term before the first entry is the term of an earlier compaction",
    source="etcd-io/raft, MemoryStorage.Compact: the dummy entry takes the index and the term of"
    " the compacted entry",
    found_by=("invariants", "availability", "mvcc"),
)


def plant() -> None:
    original = Log.compact

    def compact(self: Log, index: Index) -> None:
        term = self._compacted_term
        original(self, index)
        if term:
            self._compacted_term = term

    Log.compact = compact  # type: ignore[method-assign]
