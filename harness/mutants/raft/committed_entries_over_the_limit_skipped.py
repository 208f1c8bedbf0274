"""Of the committed entries those that one Ready has no room for are never handed out."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.log import Log
from splitbrain.node.raft.message import Entry

MUTANT = Mutant(
    what="committed entries beyond what is applied at once are skipped",
    source="etcd-io/raft, MaxCommittedSizePerReady: applying moves by what was handed out",
    found_by=("mvcc", "write_path", "invariants"),
)


def plant() -> None:
    honest = Log.take_unapplied

    def take_unapplied(self: Log, bytes_max: int) -> tuple[Entry, ...]:
        taken = honest(self, bytes_max)
        if taken:
            self.applying = self.committed
        return taken

    Log.take_unapplied = take_unapplied  # type: ignore[method-assign]
