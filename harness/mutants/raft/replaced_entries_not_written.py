"""Bug: entries that replace the tail of the log are not written to the disk."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.log import Log
from splitbrain.node.raft.message import Entry, Index

MUTANT = Mutant(
    what="the new leader's entries that replace a follower's tail stay in memory",
    source="etcd-io/raft, unstable.truncateAndAppend: entries before the offset are written again",
    found_by=("write_path", "invariants"),
)


def plant() -> None:
    original = Log._truncate
    original_take = Log.take_unpersisted

    def _truncate(self: Log, first: Index) -> None:
        persisting = self.persisting
        original(self, first)
        self.persisting = persisting

    def take_unpersisted(self: Log) -> tuple[Entry, ...]:
        self.persisting = min(self.persisting, self.last_index)
        return original_take(self)

    Log._truncate = _truncate  # type: ignore[method-assign]
    Log.take_unpersisted = take_unpersisted  # type: ignore[method-assign]
