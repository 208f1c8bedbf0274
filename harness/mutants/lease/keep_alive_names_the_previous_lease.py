"""Bug: a keep-alive is answered with the id of the request before it on the same stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

from msgspec.structs import replace

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api.lease_service import LeaseHandlers
from splitbrain.node.messages.lease import LeaseKeepAliveRequest, LeaseKeepAliveResponse

MUTANT = Mutant(
    what="the answer to a keep-alive contains the id of the previous lease of its stream",
    source="etcd's LeaseKeepAlive answers with the id of the request",
    found_by=("lease",),
    run={"workload": "lease", "nemesis": (), "nodes": (3,), "time_limit_s": 5.0},
    hunt={"workload": "lease"},
)


def plant() -> None:
    original = LeaseHandlers.keep_alive

    async def keep_alive(
        self: LeaseHandlers, requests: AsyncIterator[LeaseKeepAliveRequest]
    ) -> AsyncGenerator[LeaseKeepAliveResponse, None]:
        previous = 0
        async for response in original(self, requests):
            yield replace(response, id=previous or response.id)
            previous = response.id

    LeaseHandlers.keep_alive = keep_alive  # type: ignore[method-assign]
