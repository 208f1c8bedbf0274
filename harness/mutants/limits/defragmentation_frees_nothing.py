"""Bug: a defragmentation is acknowledged, but the backend does not become smaller."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api.maintenance_service import MaintenanceHandlers
from splitbrain.node.messages.rpc import DefragmentRequest, DefragmentResponse

MUTANT = Mutant(
    what="a defragmentation is acknowledged, but the backend remains as large",
    source="etcd's backend.go, defrag",
    found_by=("limits",),
    hunt={
        "workload": "limits",
        "workload_options": {"quota_kib": 512},
        "rate": 200.0,
        "time_limit_s": 12.0,
    },
)


def plant() -> None:
    async def defragment(
        self: MaintenanceHandlers, _request: DefragmentRequest
    ) -> DefragmentResponse:
        return DefragmentResponse()

    MaintenanceHandlers.defragment = defragment  # type: ignore[method-assign]
