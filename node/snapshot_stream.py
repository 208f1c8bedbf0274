"""A snapshot on its way to a follower: in chunks, on a connection of its own.

One at a time to each follower. A large one on a slow link may take longer than Raft has
patience; were a second one to take its place, none would ever arrive.

Source: etcd's rafthttp, the snapshot sender beside the stream of messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from splitbrain.node.raft.message import Message, Snapshot
from splitbrain.node.world import PeerLink, World

CHUNK_BYTES = 1024**2
QUEUE_BYTES_MAX = 4 * CHUNK_BYTES
SNAPSHOT_BYTES_MAX = 4 * 1024**3
STALL_S = 30.0
"""A snapshot of which nothing more gets away for so long has failed."""
POLL_S = 0.02


class SnapshotChunk(msgspec.Struct, frozen=True, array_like=True):
    """Part of a snapshot. The last one carries the message that it belongs to."""

    stream: int
    number: int
    data: bytes
    message: Message | None = None


def chunks(stream: int, message: Message, chunk_bytes: int) -> Iterator[SnapshotChunk]:
    """A SNAP message with its data, taken apart."""
    assert message.snapshot is not None
    data = message.snapshot.data
    bare = msgspec.structs.replace(message, snapshot=Snapshot(message.snapshot.metadata, b""))
    for number, start in enumerate(range(0, max(len(data), 1), chunk_bytes)):
        last = start + chunk_bytes >= len(data)
        part = data[start : start + chunk_bytes]
        yield SnapshotChunk(stream, number, part, bare if last else None)


class SnapshotSender:
    """Sends one follower its snapshots. `dial` opens a link with a queue of so many bytes;
    `sent` is told of the bytes of each frame."""

    def __init__(
        self, world: World, dial: Callable[[int], PeerLink], sent: Callable[[int], None]
    ) -> None:
        self._world = world
        self._dial = dial
        self._sent = sent
        self._encode = msgspec.msgpack.Encoder().encode
        self._link: PeerLink | None = None
        self._streams = 0

    @property
    def busy(self) -> bool:
        return self._link is not None

    def close(self) -> None:
        if self._link is not None:
            self._link.close()

    async def send(self, message: Message) -> bool:
        """Whether all of it got away; the follower's own acknowledgement is what counts."""
        assert not self.busy, "two snapshots to one follower at once"
        assert message.snapshot is not None
        chunk_bytes, queue_bytes_max = CHUNK_BYTES, QUEUE_BYTES_MAX
        if self._world.buggify("tiny snapshot chunks"):
            chunk_bytes = max(len(message.snapshot.data) // 7, 1)
        if self._world.buggify("a snapshot's queue is short"):
            queue_bytes_max = 0  # which has room for a frame when it is empty
        self._streams += 1
        frames = map(self._encode, chunks(self._streams, message, chunk_bytes))
        self._link = link = self._dial(queue_bytes_max)
        try:
            whole = await self._send_frames(link, frames) and await self._got_away(link)
            if whole:
                link.finish()
            return whole
        finally:
            link.close()
            self._link = None

    async def _send_frames(self, link: PeerLink, frames: Iterable[bytes]) -> bool:
        """Wait for the connection, then hand on frame after frame. One that breaks has lost
        what was in it, and what comes after that is of no use."""
        begun = False
        for frame in frames:
            waited_s = 0.0
            while not link.send(frame):
                if waited_s >= STALL_S or (begun and not link.connected):
                    return False
                await self._world.clock.sleep(POLL_S)
                waited_s += POLL_S
            begun = True
            self._sent(len(frame))
        return begun

    async def _got_away(self, link: PeerLink) -> bool:
        """Wait until nothing of it is left in this member."""
        left, waited_s = link.queued_bytes, 0.0
        while link.connected and link.queued_bytes:
            if waited_s >= STALL_S:
                return False
            await self._world.clock.sleep(POLL_S)
            less = link.queued_bytes < left
            left, waited_s = link.queued_bytes, 0.0 if less else waited_s + POLL_S
        return link.connected


class SnapshotReceiver:
    """Puts the chunks of one connection together; a gap voids them, and the sender's
    Raft will try again."""

    def __init__(self, receive: Callable[[Message], None]) -> None:
        self._decode = msgspec.msgpack.Decoder(SnapshotChunk).decode
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
