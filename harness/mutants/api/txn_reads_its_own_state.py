"""Bug: a member answers a read-only transaction from its own store, without a read index."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.messages import validation

MUTANT = Mutant(
    what="a read-only transaction does not wait for the read index",
    source="etcd's server/etcdserver/v3_server.go, Txn: read-only transactions wait for the read"
    " index unless all their ranges are serializable",
    found_by=("mvcc", "linearizable"),
)


def plant() -> None:
    validation.is_serializable = lambda request: True
