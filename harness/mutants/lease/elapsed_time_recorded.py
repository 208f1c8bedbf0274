"""Bug: a leader records the elapsed time of a lease as its remaining time."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.lease_table import LeaseTable

MUTANT = Mutant(
    what="a new leader starts leases with the time that has passed, so that they end too early",
    source="etcd's lessor, checkpointScheduledLeases (remaining TTL)",
    found_by=("lease",),
    hunt={"workload": "lease"},
)


def plant() -> None:
    original = LeaseTable.record_remaining

    def record_remaining(self: LeaseTable, lease_id: int, remaining_s: int) -> None:
        lease = self.get(lease_id)
        if lease is not None and remaining_s:
            remaining_s = max(1, lease.ttl_s - remaining_s)
        original(self, lease_id, remaining_s)

    LeaseTable.record_remaining = record_remaining  # type: ignore[method-assign]
