"""Bug: the log is synced only for entries, so a vote can stay in the page cache."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft import raft
from splitbrain.node.raft.message import Entry, HardState

MUTANT = Mutant(
    what="term and vote are written, but synced only together with entries",
    source="Raft paper, figure 2: votedFor is on stable storage before the response; etcd-io/raft,"
    " MustSync",
    found_by=("raft_safety", "invariants"),
)


def plant() -> None:
    def must_sync(
        before: HardState, hard_state: HardState | None, entries: Sequence[Entry]
    ) -> bool:
        return bool(entries)

    raft.must_sync = must_sync
