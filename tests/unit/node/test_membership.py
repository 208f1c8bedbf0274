"""What members say of themselves: kept in the backend, carried by its copies, said until heard."""

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
from splitbrain.node.pending import Deadline, Pending, RequestIds
from splitbrain.node.publication import publish
from splitbrain.node.raft.errors import DropReason, ProposalDropped
from splitbrain.node.real.world import RealWorld
from splitbrain.node.storage.memory_backend import MemoryBackend

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


def test_what_a_member_said_comes_out_of_the_log_as_it_went_in_and_is_no_clients() -> None:
    said = MemberAttributesRequest(2**64 - 1, "n1", ("http://c:1", "http://c:2"))
    request = decode(encode(InternalRequest(7, said)))
    assert request == InternalRequest(7, said)
    assert request.client_id == 0


def test_a_member_knows_itself_at_once_and_another_when_it_has_said_so() -> None:
    membership = Membership(MemoryBackend(), CONFIG)
    assert listed(membership) == {"n1": ("http://c:1",), "n2": ()}
    membership.record(MemberAttributesRequest(IDS["n2"], "n2", ("http://c:2",)))
    assert listed(membership) == {"n1": ("http://c:1",), "n2": ("http://c:2",)}
    assert [member.id for member in membership.members()] == sorted(IDS.values())


def test_what_was_said_last_survives_a_restart() -> None:
    backend = MemoryBackend()
    membership = Membership(backend, CONFIG)
    for port in (2, 3):
        membership.record(MemberAttributesRequest(IDS["n2"], "n2", (f"http://c:{port}",)))
    asyncio.run(backend.flush())
    assert listed(Membership(backend, CONFIG))["n2"] == ("http://c:3",)


def test_what_was_said_is_part_of_a_snapshot() -> None:
    async def scenario() -> None:
        ahead, behind = MemoryBackend(), MemoryBackend()
        Membership(ahead, CONFIG).record(
            MemberAttributesRequest(IDS["n2"], "n2", ("http://c:2",))
        )
        late = Membership(behind, CONFIG)
        await behind.replace_with(await ahead.snapshot())
        late.restore()
        assert listed(late)["n2"] == ("http://c:2",)

    asyncio.run(scenario())


def test_a_publication_is_proposed_anew_until_it_is_applied(tmp_path: Path) -> None:
    """First nobody leads, then the proposal is lost on its way, then it is applied."""

    async def scenario() -> list[InternalRequest]:
        world = RealWorld(
            "n1", tmp_path, seed=1, trace_path=None, backend_quota_bytes=1024**2
        )
        waiting: Pending[None] = Pending(Deadline(world.clock, 0.01, errors.timed_out), 1)
        tried: list[InternalRequest] = []

        def propose(data: bytes) -> None:
            tried.append(decode(data))
            if len(tried) == 1:
                raise ProposalDropped(DropReason.NO_LEADER)
            if len(tried) == 3:
                waiting.resolve(tried[-1].id, None)

        said = Membership(MemoryBackend(), CONFIG).own
        async with asyncio.timeout(10):
            await publish(world, said, RequestIds(1, 1), waiting, propose, retry_s=0.001)
        assert len(waiting) == 0
        return tried

    tried = asyncio.run(scenario())
    assert [request.op for request in tried] == [
        MemberAttributesRequest(IDS["n1"], "n1", ("http://c:1",))
    ] * 3
    assert len({request.id for request in tried}) == 3
