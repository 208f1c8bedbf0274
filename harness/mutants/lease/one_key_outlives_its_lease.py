"""Bug: when a lease ends, all its keys except the last one are deleted."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply import lease_requests as lease_apply
from splitbrain.node.mvcc.lease_table import Lease
from splitbrain.node.mvcc.store import Store

MUTANT = Mutant(
    what="one key of a lease is not deleted when the lease ends",
    source="etcd's Lease service: all keys of a lease are deleted when it ends",
    found_by=("lease",),
    hunt={"workload": "lease"},
)


def plant() -> None:
    original = lease_apply.end_lease

    def end_lease(store: Store, lease: Lease) -> None:
        if len(lease.keys) > 1:
            store.leases.attach(max(lease.keys), 0)
        original(store, lease)

    lease_apply.end_lease = end_lease
