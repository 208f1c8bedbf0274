"""Bug: the answer to a campaign contains the revision of the election, not that of the key."""

from __future__ import annotations

from msgspec.structs import replace

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api.election_service import ElectionHandlers
from splitbrain.node.messages.election import CampaignRequest, CampaignResponse

MUTANT = Mutant(
    what="the revision in the answer to a campaign is not the one at which the key was created",
    source="etcd's Election service: the leader's revision is the create revision of its key",
    found_by=("election",),
    hunt={"workload": "election"},
)


def plant() -> None:
    original = ElectionHandlers.campaign

    async def campaign(self: ElectionHandlers, request: CampaignRequest) -> CampaignResponse:
        response = await original(self, request)
        assert response.leader is not None
        revision = self._member.header().revision
        return replace(response, leader=replace(response.leader, rev=revision))

    ElectionHandlers.campaign = campaign  # type: ignore[method-assign]
