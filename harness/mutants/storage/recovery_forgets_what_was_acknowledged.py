"""Bug: the new log of a member that recovers lacks the position of the last acknowledged entry."""

from __future__ import annotations

from typing import Any

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.raft.message import START
from splitbrain.node.storage.wal import Wal

MUTANT = Mutant(
    what="a member that recovers votes, campaigns and serves before it has caught up",
    source="Alagappan et al., FAST 2018 (protocol-aware recovery)",
    found_by=("invariants", "raft_safety", "write_path", "mvcc"),
    hunt={"nemesis": ("storage", "kill", "partition")},
)


def plant() -> None:
    original = Wal.begin_anew

    async def begin_anew(*arguments: Any, **options: Any) -> Wal:
        return await original(*arguments, **{**options, "floor": START})

    Wal.begin_anew = begin_anew  # type: ignore[method-assign]
