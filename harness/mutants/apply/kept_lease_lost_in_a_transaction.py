"""Bug: a put with `ignore_lease` inside a transaction detaches the key from its lease."""

from __future__ import annotations

from splitbrain.harness.mutants.apply.kept_value_lost_in_a_transaction import lose_flag
from splitbrain.harness.mutants.mutant import Mutant

MUTANT = Mutant(
    what="a put with ignore_lease inside a transaction detaches the key from its lease",
    source="etcd's rpc.proto, PutRequest.ignore_lease; apply.go, applyTxn",
    found_by=("mvcc",),
    hunt={"workload": "lease"},
)


def plant() -> None:
    lose_flag("ignore_lease")
