"""The hard state goes to the log before the entries whose commit it may tell of."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.message import Entry, HardState
from splitbrain.node.storage.wal import Wal

MUTANT = Mutant(
    what="after a torn write the commit index lies behind the log's end",
    source="etcd, WAL.Save: entries are written first, then the state",
    found_by=("invariants", "availability"),
)


def plant() -> None:
    honest = Wal.append

    def append(self: Wal, hard_state: HardState | None, entries: Sequence[Entry]) -> None:
        honest(self, hard_state, ())
        honest(self, None, entries)

    Wal.append = append  # type: ignore[method-assign]
