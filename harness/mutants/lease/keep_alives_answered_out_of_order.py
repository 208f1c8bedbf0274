"""Bug: the keep-alives of one stream are answered as they complete, not in their order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from splitbrain.harness.mutants.mutant import Mutant
from splitbrain.node.api.lease_service import LeaseHandlers
from splitbrain.node.messages.lease import LeaseKeepAliveRequest, LeaseKeepAliveResponse

MUTANT = Mutant(
    what="two keep-alives that wait on one stream are answered newest first",
    source="etcd's LeaseKeepAlive answers each request of a stream before it reads the next one",
    found_by=("lease",),
    run={"workload": "lease", "nemesis": (), "nodes": (3,), "time_limit_s": 5.0},
    hunt={"workload": "lease"},
)


def plant() -> None:
    original = LeaseHandlers.keep_alive

    async def keep_alive(
        self: LeaseHandlers, requests: AsyncIterator[LeaseKeepAliveRequest]
    ) -> AsyncGenerator[LeaseKeepAliveResponse, None]:
        waiting: list[LeaseKeepAliveRequest] = []
        ended = False

        async def read() -> None:
            nonlocal ended
            async for request in requests:
                waiting.append(request)
            ended = True

        async def newest() -> AsyncGenerator[LeaseKeepAliveRequest, None]:
            while waiting or not ended:
                if waiting:
                    yield waiting.pop()
                else:
                    await asyncio.sleep(0.001)

        reader = asyncio.ensure_future(read())
        try:
            async for response in original(self, newest()):
                yield response
        finally:
            reader.cancel()

    LeaseHandlers.keep_alive = keep_alive  # type: ignore[method-assign]
