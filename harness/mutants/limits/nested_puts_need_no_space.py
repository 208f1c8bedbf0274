"""Bug: the puts of a nested transaction are accepted without space."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.messages import space_cost
from splitbrain.node.messages.rpc import PutRequest, RequestOp

MUTANT = Mutant(
    what="the puts of a nested transaction are accepted without space",
    source="etcd 3.5.1, quota.go, costTxn, which does not count nested transactions",
    found_by=("limits",),
    hunt={"workload": "limits", "workload_options": {"quota_kib": 128}},
)


def plant() -> None:
    def cost(operations: tuple[RequestOp | None, ...]) -> int:
        return sum(
            space_cost.space_cost(one) for one in operations if isinstance(one, PutRequest)
        )

    space_cost._branch_cost = cost
