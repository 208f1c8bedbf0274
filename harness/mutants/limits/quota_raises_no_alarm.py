"""Bug: a backend that is larger than its quota accepts writes."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.maintenance.space_quota import SpaceQuota

MUTANT = Mutant(
    what="a backend that is larger than its quota accepts writes",
    source="etcd's quota.go, Available",
    found_by=("limits",),
    hunt={
        "workload": "limits",
        "nemesis": (),
        "workload_options": {"quota_kib": 128},
        "time_limit_s": 12.0,
        "rate": 200.0,
    },
)


def plant() -> None:
    def has_room(self: SpaceQuota, cost_bytes: int) -> bool:
        return True

    SpaceQuota._has_room = has_room  # type: ignore[method-assign]
