"""Bug: when a lease ends, its keys are not deleted."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply import lease_requests as lease_apply
from splitbrain.node.mvcc.lease_table import Lease
from splitbrain.node.mvcc.store import Store

MUTANT = Mutant(
    what="the keys of a lease are not deleted when it ends",
    source="etcd's Lease service: all keys of a lease are deleted when it ends",
    found_by=("lease",),
    hunt={"workload": "lease"},
)


def plant() -> None:
    def end_lease(store: Store, lease: Lease) -> None:
        for key in list(lease.keys):
            store.leases.attach(key, 0)
        store.leases.remove(lease.id)

    lease_apply.end_lease = end_lease
