"""Bug: a key that is put with another lease stays attached to its former lease, too."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.lease_table import LeaseTable

MUTANT = Mutant(
    what="a key is deleted with a lease to which it is no longer attached",
    source="etcd's mvcc detaches a key from its former lease at each put (kvstore_txn.go)",
    found_by=("lease", "mvcc"),
    hunt={"workload": "lease"},
)


def plant() -> None:
    def attach(self: LeaseTable, key: bytes, lease_id: int) -> None:
        lease = self._leases.get(lease_id)
        if lease is not None:
            lease.keys[key] = None

    def remove(self: LeaseTable, lease_id: int) -> None:
        self._leases[lease_id].keys.clear()
        original(self, lease_id)

    original = LeaseTable.remove
    LeaseTable.attach = attach  # type: ignore[method-assign]
    LeaseTable.remove = remove  # type: ignore[method-assign]
