"""A member tells the cluster, through the log, its name and where clients reach it.

At each start, again and again until it has itself applied what it said: before that there
may be no leader, or the one that took the proposal may be gone.

Source: etcd's `EtcdServer.publish`.
"""

from __future__ import annotations

from collections.abc import Callable

from splitbrain.node.messages.errors import RpcError
from splitbrain.node.messages.internal_request import (
    InternalRequest,
    MemberAttributesRequest,
    encode,
)
from splitbrain.node.pending import Pending, RequestIds
from splitbrain.node.raft.errors import ProposalDropped
from splitbrain.node.world import World


async def publish(
    world: World,
    said: MemberAttributesRequest,
    ids: RequestIds,
    waiting: Pending[None],
    propose: Callable[[bytes], None],
    retry_s: float,
) -> None:
    """Returns once this member has applied `said`. `waiting` is resolved by the apply, and
    gives up with RpcError; `propose` raises ProposalDropped."""
    while True:
        request = ids.next()
        data = encode(InternalRequest(request, said))

        async def begin(data: bytes = data) -> None:
            propose(data)

        try:
            await waiting.wait_for(request, begin)
        except (ProposalDropped, RpcError):
            await world.clock.sleep(retry_s)
        else:
            world.log("info", "published", clients=",".join(said.client_urls))
            return
