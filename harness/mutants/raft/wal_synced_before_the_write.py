"""Bug: the log is synced before the new records are written, not after."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.message import Entry, HardState
from splitbrain.node.storage.wal import Wal

MUTANT = Mutant(
    what="the newest records of the log are not synced before they are acknowledged",
    source="Raft paper, 5.2 and figure 2; bakwc/PySyncObj issue 84",
    found_by=("write_path", "raft_safety"),
)


def plant() -> None:
    async def save(
        self: Wal, hard_state: HardState | None, entries: Sequence[Entry], *, sync: bool
    ) -> None:
        if sync:
            await self.sync()
        self.append(hard_state, entries)

    Wal.save = save  # type: ignore[method-assign]
