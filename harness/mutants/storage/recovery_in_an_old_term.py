"""Bug: a member that recovers starts in an earlier term than it had."""

from __future__ import annotations

import msgspec

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node import member_storage
from splitbrain.node.storage.durable_end import Seal, SealFile
from splitbrain.node.world import Disk

MUTANT = Mutant(
    what="a member that has lost its log votes twice in a term",
    source="Raft paper, section 5: currentTerm and votedFor must survive; Alagappan et al.,"
    " FAST 2018 (protocol-aware recovery)",
    found_by=("raft_safety", "invariants", "mvcc"),
    hunt={"nemesis": ("storage",)},
)


def plant() -> None:
    original = member_storage._promises

    def _promises(disk: Disk, seal: SealFile | None) -> Seal | None:
        found = original(disk, seal)
        if found is None:
            return None
        term = max(found.hard_state.term - 2, 0)
        hard_state = msgspec.structs.replace(found.hard_state, term=term)
        return msgspec.structs.replace(found, hard_state=hard_state)

    member_storage._promises = _promises
