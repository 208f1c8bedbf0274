"""Publishes a member's name and client URLs to the cluster, through the log.

The member publishes them at each start. It repeats the proposal until it has applied the entry,
because there may be no leader at first, or the leader that accepted the proposal may fail.

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
from splitbrain.node.raft.errors import ProposalDropped
from splitbrain.node.waiting_requests import Pending, RequestIds
from splitbrain.node.world import World


async def publish(
    world: World,
    attributes: MemberAttributesRequest,
    ids: RequestIds,
    waiting: Pending[None],
    propose: Callable[[bytes], None],
    retry_s: float,
) -> None:
    """Propose the name and client URLs of this member, again and again until they are applied.

    `propose` passes an entry to Raft. `waiting` waits until this member has applied the entry. The
    proposal is repeated after `retry_s` seconds if `propose` raises ProposalDropped, or if
    `waiting` raises RpcError because the entry was not applied in time.
    """
    while True:
        request = ids.next()
        data = encode(InternalRequest(request, attributes))

        async def begin(data: bytes = data) -> None:
            propose(data)

        try:
            await waiting.wait_for(request, begin)
        except (ProposalDropped, RpcError):
            await world.clock.sleep(retry_s)
        else:
            world.log("info", "published", clients=",".join(attributes.client_urls))
            return
