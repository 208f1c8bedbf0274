"""Bug: the hard state is written without the vote, so that a restarted member can vote again."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from splitbrain.harness.mutants.mutant import SHORT_RUN, Mutant
from splitbrain.node.member_storage import MemberStorage
from splitbrain.node.raft.message import NONE, Entry, HardState

MUTANT = Mutant(
    what="the vote is not durable",
    source="Raft paper, figure 2: votedFor is persistent state, updated before responding",
    found_by=("raft_safety", "invariants"),
    run={**SHORT_RUN, "workload": "register", "nemesis": ("kill",)},
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
        if hard_state is not None:
            hard_state = msgspec.structs.replace(hard_state, vote=NONE)
        await original(self, hard_state, entries, sync=sync)

    MemberStorage.save = save  # type: ignore[method-assign]
