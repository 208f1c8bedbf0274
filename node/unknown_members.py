"""Answers connections of members that the cluster does not know, or no longer knows.

Such a member is new and asks to join, or it was removed and does not know that yet. A link carries
frames in one direction. A member therefore answers over a separate link to the peer URL of the
other member. These links have the following channels:

    join      from a new member to a member of the cluster: its peer URLs
    welcome   the answer: the new member's id, and the members
    removed   from a member to a removed member that still connects; no frame follows the Hello

Source: etcd's members, which ask each other for the members over HTTP, and which refuse a removed
member with status 410.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from splitbrain.node.config import Joined, Peer
from splitbrain.node.membership import Membership
from splitbrain.node.messages.member_change import KnownMember
from splitbrain.node.raft.message import NONE, MemberId
from splitbrain.node.transport import Hello
from splitbrain.node.world import World

ANSWER_TRIES = 100
ANSWER_POLL_S = 0.05
"""If a link for an answer is not connected after `ANSWER_TRIES` polls, no answer is sent."""
QUEUE_BYTES_MAX = 1024**2


class JoinQuestion(msgspec.Struct, frozen=True, array_like=True):
    """The peer URLs of a member that wants to join."""

    peer_urls: tuple[str, ...]


class Strangers:
    """Answers connections of new members and of removed members.

    `is_leaving` returns whether this member's log contains the removal of a member. `removed` is
    called when another member reports that this member was removed.
    """

    def __init__(
        self,
        world: World,
        *,
        cluster: int,
        member: MemberId,
        membership: Membership,
        is_leaving: Callable[[MemberId], bool],
        removed: Callable[[], None],
    ) -> None:
        self._world = world
        self._cluster = cluster
        self._member = member
        self._membership = membership
        self._is_leaving = is_leaving
        self._removed = removed
        self._answering: dict[str, None] = {}
        """The URLs to which an answer is being sent now."""

    def take(self, hello: Hello) -> Callable[[bytes], None] | None:
        """Accept a connection whose sender is not in this member's member list, or refuse it.

        `hello` is the first frame of the connection. Returns the function that handles its later
        frames, or None to refuse the connection.
        """
        if hello.channel == "join":
            return self._answer_join
        if hello.cluster != self._cluster:
            return None
        if hello.channel == "removed":
            if hello.receiver == self._member:
                self._removed()
            return None
        record = self._membership.record_of_members
        for known in record.removed:
            if known.id == hello.sender:
                self._answer(known.peer_urls[0], Hello(self._cluster, NONE, known.id, "removed"))
        return None

    def _answer_join(self, frame: bytes) -> None:
        try:
            question = msgspec.msgpack.decode(frame, type=JoinQuestion)
        except msgspec.MsgspecError:
            return
        record = self._membership.record_of_members
        for known in record.members:
            same_urls = sorted(known.peer_urls) == sorted(question.peer_urls)
            # Only a new member asks. A member that has started before would have stored its id. If
            # it has lost its data, it must not return without the entries that it has acknowledged.
            started = self._membership.has_started(known.id)
            if same_urls and not started and not self._is_leaving(known.id):
                voters = tuple(one for one in record.conf_state.voters if one != known.id)
                welcome = Joined(
                    cluster_id=self._cluster, member_id=known.id, initial=_peers(record.initial),
                    contacts=_peers(record.members), voters=voters,
                )
                hello = Hello(self._cluster, self._member, NONE, "welcome")
                self._answer(known.peer_urls[0], hello, msgspec.msgpack.encode(welcome))

    def _answer(self, url: str, hello: Hello, frame: bytes = b"") -> None:
        if url not in self._answering:
            self._answering[url] = None
            self._world.spawn(self._deliver(url, hello, frame), "answer a stranger")

    async def _deliver(self, url: str, hello: Hello, frame: bytes) -> None:
        link = self._world.network.dial_peer(
            url, msgspec.msgpack.encode(hello), queue_bytes_max=QUEUE_BYTES_MAX
        )
        try:
            for _ in range(ANSWER_TRIES):
                if link.send(frame):
                    link.finish()
                    break
                await self._world.clock.sleep(ANSWER_POLL_S)
        finally:
            link.close()
            del self._answering[url]


def _peers(members: tuple[KnownMember, ...]) -> tuple[Peer, ...]:
    return tuple(Peer(known.name, known.id, known.peer_urls) for known in members)
