"""Sends Raft's messages between members, over links that can fail at any time.

All messages of one `Ready` to one peer are sent in one frame. A snapshot is sent over a separate
link (`splitbrain.node.snapshot_stream`), so heartbeats do not wait for it. Questions between
members are sent over a third link (`splitbrain.node.peer_calls`).

Source: the two channels of etcd's rafthttp (stream and snapshot sender).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import msgspec

from splitbrain.node.raft.message import MemberId, Message, MessageType
from splitbrain.node.snapshot_stream import SnapshotReceiver, SnapshotSender
from splitbrain.node.world import PeerLink, World

QUEUE_BYTES_MAX = 32 * 1024**2
_CHANNELS = frozenset({"messages", "snapshot", "calls"})


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """The first frame of every connection: cluster, sender, intended receiver, and channel.

    The channel determines which frames follow. Members that know each other use `messages`,
    `snapshot` and `calls`. `splitbrain.node.unknown_members` describes the other channels.
    """

    cluster: int
    sender: MemberId
    receiver: MemberId
    channel: str = "messages"


@dataclass(slots=True)
class Traffic:
    """Counters of the traffic between this member and one peer since the member started."""

    sent_bytes: int = 0
    received_bytes: int = 0
    failures: int = 0
    """The number of frames to the peer that were dropped."""


class Transport:
    """Sends and receives Raft's messages of one member.

    The transport calls `receive` with each message that arrives, and `unreachable` with each peer
    to which a message could not be sent.
    """

    def __init__(
        self,
        world: World,
        *,
        cluster: int,
        member: MemberId,
        peers: Mapping[MemberId, str],
        receive: Callable[[Message], None],
        unreachable: Callable[[MemberId], None],
    ) -> None:
        self._world = world
        self._cluster = cluster
        self._member = member
        self._receive = receive
        self._unreachable = unreachable
        self._peers = dict(peers)
        self.traffic = {peer: Traffic() for peer in peers}
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(tuple[Message, ...]).decode
        self._links: dict[MemberId, PeerLink] = {}
        self._snapshots = {
            peer: self._snapshot_sender(peer) for peer in self._peers
        }
        self._take_call: Callable[[MemberId, bytes], None] = _ignore_call
        self._take_stranger: Callable[[Hello], Callable[[bytes], None] | None] = _refuse_stranger
        self._started = False
        self.heard: dict[MemberId, None] = {}
        """The peers that have connected to this member at least once."""

    def start(self) -> None:
        self._started = True
        for peer in self._peers:
            self._links[peer] = self.dial(peer, "messages", QUEUE_BYTES_MAX)

    def set_peers(self, peers: Mapping[MemberId, str]) -> None:
        """Replace the peers: open links to new ones, and close links to removed ones.

        `peers` contains their URLs. A peer whose URL has changed gets new links.
        """
        known = self._peers
        for peer in [one for one, url in known.items() if peers.get(one) != url]:
            if peer in self._links:
                self._links.pop(peer).close()
            self._snapshots.pop(peer).close()
        added = [one for one, url in peers.items() if known.get(one) != url]
        self._peers = dict(peers)
        for peer in added:
            self.traffic.setdefault(peer, Traffic())
            self._snapshots[peer] = self._snapshot_sender(peer)
            if self._started:
                self._links[peer] = self.dial(peer, "messages", QUEUE_BYTES_MAX)

    def close(self) -> None:
        self._started = False
        for link in self._links.values():
            link.close()
        for sender in self._snapshots.values():
            sender.close()

    def dial(self, peer: MemberId, channel: str, queue_bytes_max: int) -> PeerLink:
        """Open another link to a peer, for the frames of `channel`.

        Raises ConnectionError if `peer` is not a member.
        """
        url = self.url_of(peer)
        hello = self._encode(Hello(self._cluster, self._member, peer, channel))
        return self._world.network.dial_peer(url, hello, queue_bytes_max=queue_bytes_max)

    def url_of(self, peer: MemberId) -> str:
        """Return the URL of a peer. Raises ConnectionError if `peer` is not a member."""
        if peer not in self._peers:
            raise ConnectionError("not a member")
        return self._peers[peer]

    def take_calls_with(self, take: Callable[[MemberId, bytes], None]) -> None:
        """From now on, call `take` for each frame of the channel "calls".

        Its arguments are the peer that sent the frame, and the frame.
        """
        self._take_call = take

    def take_strangers_with(
        self, take: Callable[[Hello], Callable[[bytes], None] | None]
    ) -> None:
        """From now on, call `take` for each connection that does not come from a member.

        Its argument is the first frame of the connection. It returns a function for the later
        frames, or None to refuse the connection.
        """
        self._take_stranger = take

    def is_connected(self, peer: MemberId) -> bool:
        """Return whether the link to `peer` has a connection."""
        link = self._links.get(peer)
        return link is not None and link.connected

    @property
    def peers(self) -> Mapping[MemberId, str]:
        """The peers to which this member has links, with their URLs."""
        return self._peers

    @property
    def connected_peers(self) -> int:
        """The number of peers to which this member is connected."""
        return sum(link.connected for link in self._links.values())

    def accept(self, frame: bytes) -> Callable[[bytes], None]:
        """Accept a connection by its first frame, and return a function for its later frames.

        A connection of another cluster, from an unknown member, or for another member is passed to
        the function given to `take_strangers_with`. Raises ConnectionRefusedError if this function
        refuses the connection, or if the frame is malformed.
        """
        try:
            hello = msgspec.msgpack.decode(frame, type=Hello)
        except msgspec.MsgspecError as problem:
            raise ConnectionRefusedError("the first frame does not introduce a member") from problem
        ours = hello.cluster == self._cluster and hello.receiver == self._member
        if not ours or hello.sender not in self._peers or hello.channel not in _CHANNELS:
            receiver = self._take_stranger(hello)
            if receiver is not None:
                return receiver
            self._world.log(
                "warn",
                "refused a connection from another cluster or member",
                cluster=f"{hello.cluster:x}",
                sender=f"{hello.sender:x}",
                meant_for=f"{hello.receiver:x}",
                expected_cluster=f"{self._cluster:x}",
            )
            raise ConnectionRefusedError("another cluster or member")
        self.heard[hello.sender] = None
        take: Callable[[bytes], None] = self._take
        if hello.channel == "snapshot":
            take = SnapshotReceiver(self._receive).take
        elif hello.channel == "calls":
            take = partial(self._take_call, hello.sender)
        return self._from_member(hello, take)

    def _from_member(
        self, hello: Hello, take: Callable[[bytes], None]
    ) -> Callable[[bytes], None]:
        """Return a function that counts frames and passes them to `take`.

        The frames are dropped when their sender is no longer a member.
        """
        sender, traffic = hello.sender, self.traffic[hello.sender]

        def take_counted(frame: bytes) -> None:
            if sender not in self._peers:
                self._take_stranger(hello)
                return
            traffic.received_bytes += len(frame)
            take(frame)

        return take_counted

    def _take(self, frame: bytes) -> None:
        try:
            messages = self._decode(frame)
        except msgspec.MsgspecError as problem:
            self._world.log("warn", "dropped a frame that contains no messages", error=str(problem))
            return
        for message in messages:
            self._receive(message)

    def send(self, messages: Iterable[Message]) -> None:
        """Send messages. If a frame cannot be sent, it is dropped, and `unreachable` is called."""
        by_peer: dict[MemberId, list[Message]] = {}
        for message in messages:
            by_peer.setdefault(message.to, []).append(message)
        for peer, batch in by_peer.items():
            link = self._links.get(peer)
            if self._world.buggify("a frame finds its queue full"):
                link = None
            frame = self._encode(batch)
            if link is not None and link.send(frame):
                self.traffic[peer].sent_bytes += len(frame)
                continue
            self._unreachable(peer)
            if peer in self.traffic:
                self.traffic[peer].failures += 1

    def sends_snapshot(self, peer: MemberId) -> bool:
        """Return whether a snapshot is being sent to `peer`. At most one is sent at a time."""
        return peer in self._snapshots and self._snapshots[peer].busy

    async def send_snapshot(self, message: Message) -> bool:
        """Send a SNAP message with its data. Returns whether all of it was sent.

        The caller must not call this method while `sends_snapshot` is true for the same peer.
        """
        assert message.type is MessageType.SNAP
        sender = self._snapshots.get(message.to)
        if sender is None:
            return False
        sent = await sender.send(message)
        if not sent:
            self.traffic[message.to].failures += 1
        return sent

    def _snapshot_sender(self, peer: MemberId) -> SnapshotSender:
        traffic = self.traffic[peer]

        def dial(queue_bytes_max: int) -> PeerLink:
            return self.dial(peer, "snapshot", queue_bytes_max)

        def count_sent(size_bytes: int) -> None:
            traffic.sent_bytes += size_bytes

        return SnapshotSender(self._world, dial, count_sent)


def _refuse_stranger(_hello: Hello) -> None:
    """Refuse any connection that does not come from a member.

    This is used until the member is assembled.
    """


def _ignore_call(_peer: MemberId, _frame: bytes) -> None:
    """Drop a frame of the channel "calls". This is used until the member is assembled."""
