"""The hard state goes to the log before the entries whose commit it may tell of."""

from __future__ import annotations

from collections.abc import Sequence

from node.raft.message import Entry, HardState
from node.storage.wal import Wal
from tests.mutants import Mutant

MUTANT = Mutant(
    what="after a torn write the commit index lies behind the log's end",
    source="etcd, WAL.Save: entries are written first, then the state",
    found_by=("invariants", "availability"),
)


def spoil() -> None:
    honest = Wal.append

    def append(self: Wal, hard_state: HardState | None, entries: Sequence[Entry]) -> None:
        honest(self, hard_state, ())
        honest(self, None, entries)

    Wal.append = append  # type: ignore[method-assign]
