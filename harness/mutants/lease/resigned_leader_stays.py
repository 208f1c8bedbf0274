"""Bug: a leader that resigns is still the leader."""

from __future__ import annotations

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api.election_service import ElectionHandlers, given_leader
from splitbrain.node.messages.election import ResignRequest, ResignResponse

MUTANT = Mutant(
    what="a resignation is acknowledged and has no effect",
    source="etcd's Election.Resign deletes the leader's key",
    found_by=("election",),
    hunt={"workload": "election"},
)


def plant() -> None:
    async def resign(self: ElectionHandlers, request: ResignRequest) -> ResignResponse:
        given_leader(request.leader)
        return ResignResponse(header=self._member.header())

    ElectionHandlers.resign = resign  # type: ignore[method-assign]
