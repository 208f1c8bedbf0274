"""Starts a member for the first time after it was added to a running cluster.

The new member knows only the URLs in --initial-cluster. It asks the other members for its id, the
cluster's id, and the members with which the cluster began, because the log begins with them. It
stores the answer before it creates its log, and later starts use the stored answer.

A former member may have had the same URLs as the new member, and may have acknowledged entries. The
new member must therefore not get the id of the former member. But a member that has not yet applied
the removal still lists the former member. There are two protections against this:

- A member never answers with the id of a member that has started before, or whose removal is in the
  log.
- The new member waits until half of the other voters have given the same answer (`is_confirmed`).

Source: etcd's `--initial-cluster-state existing` (bootstrapExistingClusterNoWAL).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TypeVar

import msgspec

from splitbrain.node.config import Config, Joined
from splitbrain.node.raft.message import NONE, MemberId
from splitbrain.node.transport import Hello
from splitbrain.node.unknown_members import QUEUE_BYTES_MAX, JoinQuestion
from splitbrain.node.world import World

JOINED = "joined"
ASK_INTERVAL_S = 0.2
TIMEOUT_S = 30.0


T = TypeVar("T")


class NotAdmitted(Exception):
    """No member has answered that the new member belongs to the cluster."""


async def joined_config(world: World, config: Config) -> Config:
    """Let the member join the cluster, and return `config` with the result in the field `joined`.

    If the member starts a new cluster, `config` is returned unchanged. Raises NotAdmitted,
    AddressInUse, DiskError.
    """
    if config.initial_cluster_state != "existing":
        return config
    if world.disk.exists(JOINED):
        joined = msgspec.json.decode(world.disk.read(JOINED), type=Joined)
    else:
        joined = await _ask(world, config)
        await world.disk.replace(JOINED, msgspec.json.encode(joined))
    return replace(config, joined=joined)


async def _ask(world: World, config: Config) -> Joined:
    answer: asyncio.Future[Joined] = asyncio.get_running_loop().create_future()
    answers: dict[MemberId, Joined] = {}

    def accept(frame: bytes) -> Callable[[bytes], None]:
        hello = _decoded(frame, Hello)
        if hello is None or hello.channel != "welcome":
            raise ConnectionRefusedError("this member has not joined yet")
        return partial(take, hello.sender)

    def take(sender: MemberId, frame: bytes) -> None:
        joined = _decoded(frame, Joined)
        if joined is not None:
            answers[sender] = joined
            if is_confirmed(joined, answers) and not answer.done():
                answer.set_result(joined)

    own = dict(config.initial_cluster)[config.name]
    urls = [urls[0] for name, urls in config.initial_cluster if name != config.name]
    hello = msgspec.msgpack.encode(Hello(0, NONE, NONE, "join"))
    question = msgspec.msgpack.encode(JoinQuestion(own))
    listeners = [await world.network.listen_peers(url, accept) for url in config.listen_peer_urls]
    links = [
        world.network.dial_peer(url, hello, queue_bytes_max=QUEUE_BYTES_MAX) for url in urls
    ]
    try:
        for _ in range(round(TIMEOUT_S / ASK_INTERVAL_S)):
            for link in links:
                link.send(question)
            await world.clock.sleep(ASK_INTERVAL_S)
            if answer.done():
                return answer.result()
    finally:
        for link in links:
            link.close()
        for listener in listeners:
            await listener.close()
    raise NotAdmitted(
        f"none of {', '.join(urls) or 'no other member'} has a member with the peer URLs "
        f"{', '.join(own)}; expected one that was added by /v3/cluster/member/add, and has never "
        "started"
    )


def is_confirmed(joined: Joined, answers: Mapping[MemberId, Joined]) -> bool:
    """Return whether at least half of the other voters have given the new member the same id.

    A majority of the other voters have two changes in their logs: the removal of a former member
    with the same URLs, and the addition of the new member. Every half of the voters contains at
    least one voter of this majority, and this voter does not answer with the former member's id.
    """
    same = [
        voter for voter in joined.voters
        if voter in answers and answers[voter].member_id == joined.member_id
    ]
    return 2 * len(same) >= len(joined.voters)


def _decoded(frame: bytes, kind: type[T]) -> T | None:
    try:
        return msgspec.msgpack.decode(frame, type=kind)
    except msgspec.MsgspecError:
        return None
