"""Requests of etcd's Cluster service, which list and change the members, over the JSON gateway."""

from __future__ import annotations

import msgspec

from splitbrain.harness.clients.administrator_session import AdministratorSession
from splitbrain.harness.errors import SystemFailed

TIMEOUT_S = 3.0


class ClusterMember(msgspec.Struct, frozen=True, rename="camel"):
    """A member of the cluster, as the answer to a request lists it."""

    id: str = msgspec.field(name="ID", default="0")
    name: str = ""
    peer_urls: tuple[str, ...] = msgspec.field(name="peerURLs", default=())
    is_learner: bool = False


class MemberList(msgspec.Struct, frozen=True):
    members: tuple[ClusterMember, ...] = ()


async def list_members(
    session: AdministratorSession, url: str, *, linearizable: bool
) -> tuple[ClusterMember, ...]:
    """Read the member list at the member with the client URL `url`. Raises SystemFailed."""
    answer = await _call(session, url, "list", {"linearizable": linearizable})
    try:
        return msgspec.json.decode(answer, type=MemberList).members
    except msgspec.MsgspecError as problem:
        raise SystemFailed(f"member/list at {url}: {problem}") from problem


async def add_member(
    session: AdministratorSession, url: str, peer_url: str, *, learner: bool
) -> None:
    await _call(session, url, "add", {"peerURLs": [peer_url], "isLearner": learner})


async def remove_member(session: AdministratorSession, url: str, member: int) -> None:
    await _call(session, url, "remove", {"ID": str(member)})


async def promote_member(session: AdministratorSession, url: str, member: int) -> None:
    await _call(session, url, "promote", {"ID": str(member)})


async def update_member(
    session: AdministratorSession, url: str, member: int, peer_url: str
) -> None:
    await _call(session, url, "update", {"ID": str(member), "peerURLs": [peer_url]})


async def _call(
    session: AdministratorSession, url: str, operation: str, request: dict[str, object]
) -> bytes:
    """Send a request to the member at `url`.

    Raises SystemFailed if it is refused or not answered.
    """
    return await session.post(url, f"cluster/member/{operation}", request, TIMEOUT_S)
