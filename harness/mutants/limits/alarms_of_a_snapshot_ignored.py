"""Bug: a member that gets a snapshot of the leader keeps its former alarms."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply.applier import Applier
from splitbrain.node.raft.message import Snapshot

MUTANT = Mutant(
    what="a member that gets a snapshot of the leader keeps its former alarms",
    source="etcd's applySnapshot, which restores the alarm store",
    found_by=("invariants", "limits", "mvcc", "write_path"),
    hunt={"workload": "limits"},
)


def plant() -> None:
    original = Applier._restore

    async def restore(self: Applier, snapshot: Snapshot) -> None:
        alarms = self._alarms
        raised, kinds = alarms._raised, alarms._kinds
        await original(self, snapshot)
        alarms._raised, alarms._kinds = raised, kinds

    Applier._restore = restore  # type: ignore[method-assign]
