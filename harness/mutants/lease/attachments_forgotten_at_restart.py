"""Bug: after a restart or a snapshot, a member does not know which keys belong to leases."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.mvcc.lease_table import LeaseTable
from splitbrain.node.mvcc.store import Store

MUTANT = Mutant(
    what="the keys of leases are unknown after a restart or a snapshot",
    source="etcd's mvcc attaches each key to its lease when it restores (kvstore.go)",
    found_by=("mvcc", "lease", "write_path", "invariants"),
    hunt={"workload": "lease"},
)


def plant() -> None:
    original = Store._load

    def _load(self: Store) -> None:
        attach = LeaseTable.attach
        LeaseTable.attach = lambda *_: None  # type: ignore[method-assign]
        try:
            original(self)
        finally:
            LeaseTable.attach = attach  # type: ignore[method-assign]

    Store._load = _load  # type: ignore[method-assign]
