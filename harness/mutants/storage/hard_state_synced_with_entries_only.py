"""Bug: a vote or a term without new entries is written to the log, but not synced."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.message import Entry, HardState
from splitbrain.node.storage.wal import Wal

MUTANT = Mutant(
    what="after a power loss a member votes again in the same term",
    source="Raft paper, figure 2: the persistent state is updated on stable storage before a"
    " response; hashicorp/raft and etcd MustSync",
    found_by=("raft_safety", "invariants", "write_path", "mvcc"),
    hunt={"nemesis": ("power", "kill")},
)


def plant() -> None:
    async def save(
        self: Wal, hard_state: HardState | None, entries: Sequence[Entry], *, sync: bool
    ) -> None:
        self.append(hard_state, entries)
        if sync and entries:
            await self.sync()

    Wal.save = save  # type: ignore[method-assign]
