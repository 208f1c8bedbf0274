"""Bug: a member answers a linearizable read of the member list from its own state."""

from __future__ import annotations

from msgspec.structs import replace

from splitbrain.harness.mutants.mutant import MEMBER_LISTS_HUNT, Mutant
from splitbrain.node.api.cluster_handlers import ClusterHandlers
from splitbrain.node.messages.rpc import MemberListRequest, MemberListResponse

MUTANT = Mutant(
    what="a linearizable read of the member list may return an old list",
    source="etcd issues 6192 and 11198: before 3.5, members served the list from their own state",
    found_by=("members",),
    hunt=MEMBER_LISTS_HUNT,
)


def plant() -> None:
    original = ClusterHandlers.list

    async def from_own_state(
        self: ClusterHandlers, request: MemberListRequest
    ) -> MemberListResponse:
        return await original(self, replace(request, linearizable=False))

    ClusterHandlers.list = from_own_state  # type: ignore[method-assign]
