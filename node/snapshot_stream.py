"""Sends a snapshot to a follower in chunks, over a separate connection.

Each follower gets one snapshot at a time. On a slow link, sending a large snapshot can take longer
than Raft's timeout for the snapshot. If a second snapshot then replaced the first, no snapshot
would ever arrive.

Source: etcd's rafthttp, which sends snapshots separately from the stream of messages.
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
"""If no byte can be sent for this time, in seconds, sending the snapshot fails."""
POLL_S = 0.02


class SnapshotChunk(msgspec.Struct, frozen=True, array_like=True):
    """A part of a snapshot. The last chunk also contains the SNAP message, without its data."""

    stream: int
    number: int
    data: bytes
    message: Message | None = None


def chunks(stream: int, message: Message, chunk_bytes: int) -> Iterator[SnapshotChunk]:
    """Split the data of a SNAP message into chunks. `stream` is the number of the snapshot."""
    assert message.snapshot is not None
    data = message.snapshot.data
    bare = msgspec.structs.replace(message, snapshot=Snapshot(message.snapshot.metadata, b""))
    for number, start in enumerate(range(0, max(len(data), 1), chunk_bytes)):
        last = start + chunk_bytes >= len(data)
        part = data[start : start + chunk_bytes]
        yield SnapshotChunk(stream, number, part, bare if last else None)


class SnapshotSender:
    """Sends snapshots to one follower.

    `dial` opens a link with a queue of the given size in bytes. `sent` is called with the size of
    each frame in bytes.
    """

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
        """Whether a snapshot is being sent."""
        return self._link is not None

    def close(self) -> None:
        if self._link is not None:
            self._link.close()

    async def send(self, message: Message) -> bool:
        """Send a SNAP message to the follower. Return whether all of it was sent.

        True does not mean that the follower has installed the snapshot. Only the follower's
        acknowledgement shows that.
        """
        assert not self.busy, "a snapshot is already being sent to this follower"
        assert message.snapshot is not None
        chunk_bytes, queue_bytes_max = CHUNK_BYTES, QUEUE_BYTES_MAX
        if self._world.buggify("tiny snapshot chunks"):
            chunk_bytes = max(len(message.snapshot.data) // 7, 1)
        if self._world.buggify("a snapshot's queue is short"):
            queue_bytes_max = 0  # An empty queue still accepts one frame.
        self._streams += 1
        frames = map(self._encode, chunks(self._streams, message, chunk_bytes))
        self._link = link = self._dial(queue_bytes_max)
        try:
            whole = await self._send_frames(link, frames) and await self._drained(link)
            if whole:
                link.finish()
            return whole
        finally:
            link.close()
            self._link = None

    async def _send_frames(self, link: PeerLink, frames: Iterable[bytes]) -> bool:
        """Wait for the connection, then put the frames into the queue of the link.

        Returns False if there is no connection in time, if it breaks, or if no byte can be sent.
        The frames in the queue are then lost, and the later frames are useless without them.
        """
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

    async def _drained(self, link: PeerLink) -> bool:
        """Wait until the queue of the link is empty. Return False if the link breaks."""
        left, waited_s = link.queued_bytes, 0.0
        while link.connected and link.queued_bytes:
            if waited_s >= STALL_S:
                return False
            await self._world.clock.sleep(POLL_S)
            less = link.queued_bytes < left
            left, waited_s = link.queued_bytes, 0.0 if less else waited_s + POLL_S
        return link.connected


class SnapshotReceiver:
    """Joins the chunks of the snapshots that arrive over one connection.

    If a chunk is missing, the later chunks of the snapshot are ignored, and the sender's Raft sends
    another snapshot. Snapshots of more than `SNAPSHOT_BYTES_MAX` bytes are ignored, too.
    """

    def __init__(self, receive: Callable[[Message], None]) -> None:
        self._decode = msgspec.msgpack.Decoder(SnapshotChunk).decode
        self._receive = receive
        self._parts: list[bytes] = []
        self._bytes = 0
        self._stream = 0

    def take(self, frame: bytes) -> None:
        """Process a frame with a chunk.

        After the last chunk, pass the SNAP message with its data on.
        """
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
