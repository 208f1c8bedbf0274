"""Entries that replace a tail of the log are not written to the disk."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.log import Log
from splitbrain.node.raft.message import Entry, Index

MUTANT = Mutant(
    what="what a new leader puts over a follower's tail stays in memory",
    source="etcd-io/raft, unstable.truncateAndAppend: entries before the offset are written again",
    found_by=("write_path", "invariants"),
)


def plant() -> None:
    honest = Log._truncate
    honest_take = Log.take_unpersisted

    def _truncate(self: Log, first: Index) -> None:
        persisting = self.persisting
        honest(self, first)
        self.persisting = persisting

    def take_unpersisted(self: Log) -> tuple[Entry, ...]:
        self.persisting = min(self.persisting, self.last_index)
        return honest_take(self)

    Log._truncate = _truncate  # type: ignore[method-assign]
    Log.take_unpersisted = take_unpersisted  # type: ignore[method-assign]
