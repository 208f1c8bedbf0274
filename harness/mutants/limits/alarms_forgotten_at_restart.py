"""Bug: a member that restarts knows no alarms."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.alarms import Alarms

MUTANT = Mutant(
    what="a member that restarts knows no alarms",
    source="etcd's api/v3alarm/alarms.go, restore",
    found_by=("limits", "mvcc", "write_path", "invariants"),
    hunt={
        "workload": "limits",
        "workload_options": {"quota_kib": 128},
        "nemesis": ("kill", "power"),
        "rate": 200.0,
    },
)


def plant() -> None:
    def restore(self: Alarms) -> None:
        pass

    Alarms.restore = restore  # type: ignore[method-assign]
