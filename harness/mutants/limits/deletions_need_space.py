"""Bug: deletions are refused while there is no space."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.apply import alarm_refusal
from splitbrain.node.messages import space_cost
from splitbrain.node.messages.rpc import DeleteRangeRequest

MUTANT = Mutant(
    what="deletions are refused while there is no space",
    source="etcd's apply.go, applierV3Capped, which refuses only what needs space",
    found_by=("limits", "invariants"),
    hunt={"workload": "limits", "workload_options": {"quota_kib": 128}},
)


def plant() -> None:
    def cost(request: object) -> int:
        return 1 if isinstance(request, DeleteRangeRequest) else space_cost.space_cost(request)

    alarm_refusal.space_cost = cost  # type: ignore[attr-defined]
