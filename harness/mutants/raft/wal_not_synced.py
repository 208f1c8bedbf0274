"""Bug: entries are acknowledged when they are written, not when they are synced."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.harness.mutants.mutant import SHORT_RUN, Mutant
from splitbrain.node.member_storage import MemberStorage
from splitbrain.node.raft.message import Entry, HardState

MUTANT = Mutant(
    what="the WAL is not synced before an append is acknowledged",
    source="Raft paper, 5.2 and figure 2: persistent state is updated on stable storage before"
    " responding; etcd's --unsafe-no-fsync",
    found_by=("write_path", "mvcc", "invariants"),
    run={**SHORT_RUN, "workload": "kv", "nemesis": ("kill",)},
    flags=("--hold-unsynced",),
)


def plant() -> None:
    original = MemberStorage.save

    async def save(
        self: MemberStorage,
        hard_state: HardState | None,
        entries: Sequence[Entry],
        *,
        sync: bool,
    ) -> None:
        await original(self, hard_state, entries, sync=False)

    MemberStorage.save = save  # type: ignore[method-assign]
