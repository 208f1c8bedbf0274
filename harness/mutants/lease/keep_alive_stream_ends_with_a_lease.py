"""Bug: a stream of keep-alives ends when one of its leases has ended."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api.lease_service import LeaseHandlers
from splitbrain.node.messages.lease import LeaseKeepAliveRequest, LeaseKeepAliveResponse

MUTANT = Mutant(
    what="after the answer that a lease has ended, a stream answers no keep-alive of other leases",
    source="etcd's LeaseKeepAlive goes on after a lease that it does not find",
    found_by=("lease",),
    run={"workload": "lease", "nemesis": (), "nodes": (3,), "time_limit_s": 5.0},
    hunt={"workload": "lease"},
)


def plant() -> None:
    original = LeaseHandlers.keep_alive

    async def keep_alive(
        self: LeaseHandlers, requests: AsyncIterator[LeaseKeepAliveRequest]
    ) -> AsyncGenerator[LeaseKeepAliveResponse, None]:
        async for response in original(self, requests):
            yield response
            if not response.ttl:
                return

    LeaseHandlers.keep_alive = keep_alive  # type: ignore[method-assign]
