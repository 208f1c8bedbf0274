"""Bug: a member that installs a snapshot keeps the leases that ended while it lagged."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.lease_table import LeaseTable

MUTANT = Mutant(
    what="a member knows leases after a snapshot that have ended, and accepts puts with them",
    source="etcd's lessor.initAndRecover: the leases are those of the restored backend",
    found_by=("invariants", "mvcc"),
    hunt={"workload": "lease"},
)


def plant() -> None:
    original = LeaseTable.load

    def load(self: LeaseTable) -> None:
        before = self._leases
        original(self)
        for lease_id, lease in before.items():
            self._leases.setdefault(lease_id, lease)

    LeaseTable.load = load  # type: ignore[method-assign]
