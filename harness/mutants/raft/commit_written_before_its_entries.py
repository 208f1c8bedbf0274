"""Bug: the hard state is written to the log before the entries that its commit index may cover."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.message import Entry, HardState
from splitbrain.node.storage.wal import Wal

MUTANT = Mutant(
    what="after a torn write the commit index is behind the end of the log",
    source="etcd's WAL.Save: entries are written first, then the state",
    found_by=("invariants", "availability"),
)


def plant() -> None:
    original = Wal.append

    def append(self: Wal, hard_state: HardState | None, entries: Sequence[Entry]) -> None:
        original(self, hard_state, ())
        original(self, None, entries)

    Wal.append = append  # type: ignore[method-assign]
