"""Raft's messages between members, over links that may fail at any time.

All messages of one `Ready` to one peer travel as one frame. A snapshot travels on a
link of its own, in chunks, so that heartbeats do not wait behind it.

Source: the two channels of etcd's rafthttp (stream and snapshot sender).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import msgspec

from node.raft.message import MemberId, Message, MessageType, Snapshot
from node.world import PeerLink, World

QUEUE_BYTES_MAX = 32 * 1024**2
SNAPSHOT_CHUNK_BYTES = 1024**2
SNAPSHOT_BYTES_MAX = 4 * 1024**3
SNAPSHOT_STALL_S = 30.0
"""A snapshot of which nothing can be sent for so long has failed."""


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """The first frame of every connection: who speaks, of which cluster, to whom."""

    cluster: int
    sender: MemberId
    receiver: MemberId
    channel: str = "messages"


class SnapshotChunk(msgspec.Struct, frozen=True, array_like=True):
    """Part of a snapshot. The last one carries the message that it belongs to."""

    stream: int
    number: int
    data: bytes
    message: Message | None = None


@dataclass(slots=True)
class Traffic:
    """What went between this member and one peer, since it started."""

    sent_bytes: int = 0
    received_bytes: int = 0
    failures: int = 0
    """Frames that were dropped."""


class Transport:
    """One member's links. `receive` is called with each message that arrives;
    `unreachable` with a peer to which a message could not be sent."""

    def __init__(
        self,
        world: World,
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
        self._decode_chunk = msgspec.msgpack.Decoder(SnapshotChunk).decode
        self._links: dict[MemberId, PeerLink] = {}
        self._snapshot_links: dict[MemberId, PeerLink] = {}
        self._streams = 0
        self.heard: dict[MemberId, None] = {}
        """Peers that have introduced themselves at least once."""

    def start(self) -> None:
        for peer, url in self._peers.items():
            hello = self._encode(Hello(self._cluster, self._member, peer))
            self._links[peer] = self._world.network.dial_peer(
                url, hello, queue_bytes_max=QUEUE_BYTES_MAX
            )

    def close(self) -> None:
        for link in (*self._links.values(), *self._snapshot_links.values()):
            link.close()

    @property
    def connected_peers(self) -> int:
        return sum(link.connected for link in self._links.values())

    def accept(self, frame: bytes) -> Callable[[bytes], None]:
        """Take a connection by its first frame. Raises ConnectionRefusedError for one
        of another cluster, for another member, or of no member of ours."""
        try:
            hello = msgspec.msgpack.decode(frame, type=Hello)
        except msgspec.MsgspecError as problem:
            raise ConnectionRefusedError("no introduction of a member") from problem
        ours = hello.cluster == self._cluster and hello.receiver == self._member
        if not ours or hello.sender not in self._peers:
            self._world.log(
                "warn",
                "refused a connection of another cluster or member",
                cluster=f"{hello.cluster:x}",
                sender=f"{hello.sender:x}",
                meant_for=f"{hello.receiver:x}",
                expected_cluster=f"{self._cluster:x}",
            )
            raise ConnectionRefusedError("another cluster or member")
        self.heard[hello.sender] = None
        take = self._take
        if hello.channel == "snapshot":
            take = _SnapshotReceiver(self._decode_chunk, self._receive).take
        return _counted(take, self.traffic[hello.sender])

    def _take(self, frame: bytes) -> None:
        try:
            messages = self._decode(frame)
        except msgspec.MsgspecError as problem:
            self._world.log("warn", "dropped a frame that holds no messages", error=str(problem))
            return
        for message in messages:
            self._receive(message)

    def send(self, messages: Iterable[Message]) -> None:
        """Send what can be sent; what cannot is dropped and its peer reported."""
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

    async def send_snapshot(self, message: Message) -> bool:
        """Send a SNAP message with its data; whether all of it could be handed on, before
        another one to the same peer took its place."""
        assert message.type is MessageType.SNAP
        assert message.snapshot is not None
        url = self._peers.get(message.to)
        if url is None:
            return False
        self._streams += 1
        hello = self._encode(Hello(self._cluster, self._member, message.to, "snapshot"))
        link = self._world.network.dial_peer(url, hello, queue_bytes_max=4 * SNAPSHOT_CHUNK_BYTES)
        # The link outlives this call: the last bytes may still be on their way, and the
        # peer's own acknowledgement is what counts. The next snapshot takes its place.
        earlier = self._snapshot_links.pop(message.to, None)
        if earlier is not None:
            earlier.close()
        self._snapshot_links[message.to] = link
        for chunk in self._chunks(message, message.snapshot):
            frame = self._encode(chunk)
            if not await self._send_chunk(message.to, link, frame):
                self.traffic[message.to].failures += 1
                return False
            self.traffic[message.to].sent_bytes += len(frame)
        return True

    def _chunks(self, message: Message, snapshot: Snapshot) -> Iterable[SnapshotChunk]:
        data = snapshot.data
        bare = msgspec.structs.replace(message, snapshot=Snapshot(snapshot.metadata, b""))
        chunk_bytes = SNAPSHOT_CHUNK_BYTES
        if self._world.buggify("tiny snapshot chunks"):
            chunk_bytes = max(len(data) // 7, 1)
        starts = range(0, max(len(data), 1), chunk_bytes)
        for number, start in enumerate(starts):
            last = start + chunk_bytes >= len(data)
            part = data[start : start + chunk_bytes]
            yield SnapshotChunk(self._streams, number, part, bare if last else None)

    async def _send_chunk(self, peer: MemberId, link: PeerLink, frame: bytes) -> bool:
        waited = 0.0
        while not link.send(frame):
            if waited >= SNAPSHOT_STALL_S or self._snapshot_links.get(peer) is not link:
                return False
            await self._world.clock.sleep(0.02)
            waited += 0.02
        return True


def _counted(take: Callable[[bytes], None], traffic: Traffic) -> Callable[[bytes], None]:
    def counted(frame: bytes) -> None:
        traffic.received_bytes += len(frame)
        take(frame)

    return counted


class _SnapshotReceiver:
    """Puts the chunks of one connection together; a gap voids them, and the sender's
    Raft will try again."""

    def __init__(
        self, decode: Callable[[bytes], SnapshotChunk], receive: Callable[[Message], None]
    ) -> None:
        self._decode = decode
        self._receive = receive
        self._parts: list[bytes] = []
        self._bytes = 0
        self._stream = 0

    def take(self, frame: bytes) -> None:
        try:
            chunk = self._decode(frame)
        except msgspec.MsgspecError:
            return
        if chunk.number == 0:
            self._parts.clear()
            self._bytes = 0
            self._stream = chunk.stream
        if chunk.stream != self._stream or chunk.number != len(self._parts):
            return
        self._bytes += len(chunk.data)
        if self._bytes > SNAPSHOT_BYTES_MAX:
            self._parts.clear()
            return
        self._parts.append(chunk.data)
        message = chunk.message
        if message is None or message.snapshot is None:
            return
        whole = Snapshot(message.snapshot.metadata, b"".join(self._parts))
        self._parts.clear()
        self._receive(msgspec.structs.replace(message, snapshot=whole))
