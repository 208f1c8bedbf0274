"""Snapshots on their way to a peer that does not take them."""

from __future__ import annotations

import asyncio
from typing import cast

from node.raft.message import Message, MessageType, Snapshot, SnapshotMetadata
from node.transport import Transport
from node.world import World


class Stuck:
    """A link to a peer that is down: nothing can be handed on."""

    connected = False

    def send(self, _frame: bytes) -> bool:
        return False

    def close(self) -> None: ...


class LonelyWorld:
    """A world in which nobody listens. It is its own network and its own clock, which
    hardly takes any time."""

    def __init__(self) -> None:
        self.network = self.clock = self
        self.slept_s = 0.0

    def dial_peer(self, _url: str, _hello: bytes, *, queue_bytes_max: int) -> Stuck:
        assert queue_bytes_max > 0
        return Stuck()

    def buggify(self, _place: str) -> bool:
        return False

    async def sleep(self, seconds: float) -> None:
        self.slept_s += seconds
        await asyncio.sleep(0)


def snapshot_to(peer: int, index: int) -> Message:
    metadata = SnapshotMetadata(index, term=1)
    return Message(MessageType.SNAP, peer, 1, 1, snapshot=Snapshot(metadata, b"data"))


def test_a_snapshot_fails_at_once_when_a_later_one_to_its_peer_takes_its_place() -> None:
    async def run() -> None:
        world = LonelyWorld()
        transport = Transport(
            cast("World", world), 1, 1, {2: "http://n2", 3: "http://n3"},
            receive=lambda _: None, unreachable=lambda _: None,
        )
        first = asyncio.create_task(transport.send_snapshot(snapshot_to(2, 5)))
        other = asyncio.create_task(transport.send_snapshot(snapshot_to(3, 5)))
        await asyncio.sleep(0)
        second = asyncio.create_task(transport.send_snapshot(snapshot_to(2, 6)))
        assert await first is False
        assert world.slept_s < 1
        assert not second.done()
        assert not other.done()
        assert await second is False
        assert await other is False
        assert world.slept_s > 1

    asyncio.run(run())
