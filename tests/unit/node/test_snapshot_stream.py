"""Snapshots are sent in chunks over links that may be slow, blocked or broken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from splitbrain.node.raft.message import Message, MessageType, Snapshot, SnapshotMetadata
from splitbrain.node.snapshot_stream import SnapshotReceiver, SnapshotSender
from splitbrain.node.world import PeerLink, World

CHUNK = 1000


class Wire:
    """A link that delivers `chunks_per_poll` chunks per poll and breaks after `breaks_after`."""

    def __init__(
        self, receive: Callable[[bytes], None], chunks_per_poll: int, breaks_after: int | None
    ) -> None:
        self._receive = receive
        self._chunks_per_poll = chunks_per_poll
        self._left = breaks_after
        self._queue: list[bytes] = []
        self.connected = True
        self.ended = ""

    def send(self, frame: bytes) -> bool:
        if not self.connected or self._queue:
            return False
        self._queue.append(frame)
        return True

    @property
    def queued_bytes(self) -> int:
        return sum(map(len, self._queue))

    def deliver(self) -> None:
        for frame in self._queue[: self._chunks_per_poll]:
            self._receive(frame)
            if self._left is not None:
                self._left -= 1
                self.connected = self._left > 0
        del self._queue[: self._chunks_per_poll]

    def finish(self) -> None:
        self.ended = self.ended or "finished"

    def close(self) -> None:
        self.ended = self.ended or "closed"


class WireWorld:
    """A world with one link, which delivers chunks at each sleep."""

    def __init__(self, chunks_per_poll: int = 1, breaks_after: int | None = None) -> None:
        self.clock = self
        self.received: list[Message] = []
        self.wire = Wire(SnapshotReceiver(self.received.append).take, chunks_per_poll, breaks_after)
        self.slept_s = 0.0
        self.sent_bytes = 0

    def buggify(self, place: str) -> bool:
        return place == "tiny snapshot chunks"

    async def sleep(self, seconds: float) -> None:
        self.slept_s += seconds
        self.wire.deliver()
        await asyncio.sleep(0)

    def sender(self) -> SnapshotSender:
        def sent(count: int) -> None:
            self.sent_bytes += count

        return SnapshotSender(cast("World", self), lambda _: cast("PeerLink", self.wire), sent)


def snapshot(size: int) -> Message:
    held = Snapshot(SnapshotMetadata(5, term=1), bytes(range(256)) * (size // 256))
    return Message(MessageType.SNAP, 2, 1, 1, snapshot=held)


def test_a_snapshot_of_many_chunks_is_received_whole() -> None:
    world = WireWorld()
    sender = world.sender()
    assert asyncio.run(sender.send(snapshot(7 * 256))) is True
    assert world.received == [snapshot(7 * 256)]
    assert world.sent_bytes > 7 * 256
    assert world.wire.ended == "finished"
    assert not sender.busy


@pytest.mark.parametrize("breaks_after", [1, 3, 7])
def test_a_transfer_fails_at_once_if_its_connection_breaks(breaks_after: int) -> None:
    world = WireWorld(breaks_after=breaks_after)
    assert asyncio.run(world.sender().send(snapshot(7 * 256))) is False
    assert world.slept_s < 1
    assert world.wire.ended == "closed"


def test_a_transfer_without_progress_fails_after_a_timeout() -> None:
    world = WireWorld(chunks_per_poll=0)
    assert asyncio.run(world.sender().send(snapshot(7 * 256))) is False
    assert world.slept_s >= 30
    assert world.received == []


def test_the_sender_is_busy_until_the_whole_snapshot_is_sent() -> None:
    async def run() -> None:
        world = WireWorld()
        sender = world.sender()
        task = asyncio.create_task(sender.send(snapshot(7 * 256)))
        while not world.received:
            assert not task.done()
            assert sender.busy or world.slept_s == 0
            await asyncio.sleep(0)
        assert await task is True

    asyncio.run(run())
