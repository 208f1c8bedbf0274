"""Members propose, store and restore the client URLs that they publish."""

from __future__ import annotations

import asyncio
from pathlib import Path

from splitbrain.node.config import Config
from splitbrain.node.membership import Membership
from splitbrain.node.messages import errors
from splitbrain.node.messages.internal_request import (
    InternalRequest,
    MemberAttributesRequest,
    decode,
    encode,
)
from splitbrain.node.publish_attributes import publish
from splitbrain.node.raft.errors import DropReason, ProposalDropped
from splitbrain.node.real.world import RealWorld
from splitbrain.node.storage.memory_backend import MemoryBackend
from splitbrain.node.waiting_requests import Deadline, Pending, RequestIds

CONFIG = Config(
    name="n1",
    data_dir="d",
    initial_cluster=(("n1", ("http://p:1",)), ("n2", ("http://p:2",))),
    listen_client_urls=("http://c:1",),
    advertise_client_urls=("http://c:1",),
    listen_peer_urls=("http://p:1",),
)
IDS = {peer.name: peer.id for peer in CONFIG.peers}


def listed(membership: Membership) -> dict[str, tuple[str, ...]]:
    return {member.name: member.client_urls for member in membership.members()}


def test_a_publication_is_decoded_unchanged_and_belongs_to_no_client() -> None:
    attributes = MemberAttributesRequest(2**64 - 1, "n1", ("http://c:1", "http://c:2"))
    request = decode(encode(InternalRequest(7, attributes)))
    assert request == InternalRequest(7, attributes)
    assert request.client_id == 0


def test_a_member_lists_its_own_urls_at_once_and_those_of_others_once_published() -> None:
    membership = Membership(MemoryBackend(), CONFIG)
    assert listed(membership) == {"n1": ("http://c:1",), "n2": ()}
    membership.record(MemberAttributesRequest(IDS["n2"], "n2", ("http://c:2",)))
    assert listed(membership) == {"n1": ("http://c:1",), "n2": ("http://c:2",)}
    assert [member.id for member in membership.members()] == sorted(IDS.values())


def test_the_last_publication_survives_a_restart() -> None:
    backend = MemoryBackend()
    membership = Membership(backend, CONFIG)
    for port in (2, 3):
        membership.record(MemberAttributesRequest(IDS["n2"], "n2", (f"http://c:{port}",)))
    asyncio.run(backend.flush())
    assert listed(Membership(backend, CONFIG))["n2"] == ("http://c:3",)


def test_a_snapshot_contains_publications() -> None:
    async def scenario() -> None:
        source, target = MemoryBackend(), MemoryBackend()
        Membership(source, CONFIG).record(
            MemberAttributesRequest(IDS["n2"], "n2", ("http://c:2",))
        )
        late = Membership(target, CONFIG)
        await target.replace_with(await source.snapshot())
        late.restore()
        assert listed(late)["n2"] == ("http://c:2",)

    asyncio.run(scenario())


def test_a_publication_is_proposed_again_until_it_is_applied(tmp_path: Path) -> None:
    """At first there is no leader, then the proposal is lost, then it is applied."""

    async def scenario() -> list[InternalRequest]:
        world = RealWorld(
            "n1", tmp_path, seed=1, trace_path=None, backend_quota_bytes=1024**2
        )
        waiting: Pending[None] = Pending(Deadline(world.clock, 0.01, errors.timed_out), 1)
        proposals: list[InternalRequest] = []

        def propose(data: bytes) -> None:
            proposals.append(decode(data))
            if len(proposals) == 1:
                raise ProposalDropped(DropReason.NO_LEADER)
            if len(proposals) == 3:
                waiting.resolve(proposals[-1].id, None)

        attributes = Membership(MemoryBackend(), CONFIG).own
        async with asyncio.timeout(10):
            await publish(world, attributes, RequestIds(1, 1), waiting, propose, retry_s=0.001)
        assert len(waiting) == 0
        return proposals

    proposals = asyncio.run(scenario())
    assert [request.op for request in proposals] == [
        MemberAttributesRequest(IDS["n1"], "n1", ("http://c:1",))
    ] * 3
    assert len({request.id for request in proposals}) == 3
