"""Bug: a member that restarts, or restores a snapshot, has no leases."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.lease_table import LeaseTable

MUTANT = Mutant(
    what="leases do not survive a restart or a snapshot",
    source="etcd's lessor reads the leases from its backend (initAndRecover)",
    found_by=("lease", "mvcc", "write_path", "invariants"),
    hunt={"workload": "lease"},
)


def plant() -> None:
    original = LeaseTable.load

    def load(self: LeaseTable) -> None:
        original(self)
        self._leases.clear()

    LeaseTable.load = load  # type: ignore[method-assign]
