"""Bug: term and vote are not written, so that a restart finds only the log's last term."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.member_storage import MemberStorage
from splitbrain.node.raft.message import Entry, HardState

MUTANT = Mutant(
    what="the current term is not durable",
    source="Raft paper, figure 2: currentTerm is persistent state; microsoft/CCF and others"
    " persist it",
    found_by=("raft_safety", "invariants"),
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
            hard_state = HardState(commit=hard_state.commit)
        await original(self, hard_state, entries, sync=sync)

    MemberStorage.save = save  # type: ignore[method-assign]
