"""Bug: a compaction removes one entry more than it should."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.log import Log
from splitbrain.node.raft.message import Index

MUTANT = Mutant(
    what="a compacted log is off by one entry",
    source="Raft paper, section 7: the log is discarded up through the last included index;"
    " hashicorp/raft pull request 704 (the log after a compaction contradicts the snapshot)",
    found_by=("invariants", "mvcc"),
)


def plant() -> None:
    original = Log.compact

    def compact(self: Log, index: Index) -> None:
        before = self.compacted_index
        original(self, index)
        if self.compacted_index > before and self._entries:
            del self._entries[0]
            self.last_index -= 1

    Log.compact = compact  # type: ignore[method-assign]
