"""Bug: committed entries that do not fit into one Ready are never handed out."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.log import Log
from splitbrain.node.raft.message import Entry

MUTANT = Mutant(
    what="committed entries beyond the limit of one Ready are skipped",
    source="etcd-io/raft, MaxCommittedSizePerReady: the applying index moves only past the entries"
    " that were handed out",
    found_by=("mvcc", "write_path", "invariants"),
)


def plant() -> None:
    original = Log.take_unapplied

    def take_unapplied(self: Log, bytes_max: int) -> tuple[Entry, ...]:
        taken = original(self, bytes_max)
        if taken:
            self.applying = self.committed
        return taken

    Log.take_unapplied = take_unapplied  # type: ignore[method-assign]
