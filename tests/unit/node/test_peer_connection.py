"""Members exchange frames over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from operator import contains
from random import Random

import pytest

from splitbrain.node.peer_frame import HEADER, framed
from splitbrain.node.real.network import RealNetwork
from splitbrain.node.world import AddressInUse


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def no_log(level: str, message: str, **fields: object) -> None:
    """A member's log that discards its lines."""


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


def test_frames_arrive_whole_and_in_order_after_the_hello_frame() -> None:
    async def scenario() -> None:
        network, url = RealNetwork(Random(1), no_log), f"http://127.0.0.1:{free_port()}"
        hellos: list[bytes] = []
        frames: list[bytes] = []

        def accept(hello: bytes) -> Callable[[bytes], None]:
            hellos.append(hello)
            return frames.append

        listener = await network.listen_peers(url, accept)
        link = network.dial_peer(url, b"n1", queue_bytes_max=1 << 24)
        await eventually(lambda: link.connected)
        sent = [bytes([n]) * (n * 1000) for n in range(100)]
        assert all(link.send(frame) for frame in sent)
        await eventually(lambda: len(frames) == 100)
        assert hellos == [b"n1"]
        assert frames == sent
        link.close()
        await listener.close()

    asyncio.run(scenario())


def test_a_link_reconnects_when_its_peer_returns_and_drops_frames_sent_meanwhile() -> None:
    async def scenario() -> None:
        network, url = RealNetwork(Random(1), no_log), f"http://127.0.0.1:{free_port()}"
        frames: list[bytes] = []
        link = network.dial_peer(url, b"n1", queue_bytes_max=1 << 20)
        assert not link.send(b"not connected")
        for word in (b"first", b"second"):
            listener = await network.listen_peers(url, lambda _: frames.append)
            await eventually(lambda: link.connected)
            assert link.send(word)
            await eventually(partial(contains, frames, word))
            await listener.close()
            await eventually(lambda: not link.connected)
        assert frames == [b"first", b"second"]
        link.close()

    asyncio.run(scenario())


def test_a_frame_with_a_wrong_checksum_ends_the_connection() -> None:
    async def scenario() -> None:
        network, port = RealNetwork(Random(1), no_log), free_port()
        frames: list[bytes] = []
        listener = await network.listen_peers(f"http://127.0.0.1:{port}", lambda _: frames.append)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        corrupt = bytearray(framed(b"payload"))
        corrupt[HEADER.size] ^= 1
        writer.write(framed(b"hello") + framed(b"good") + bytes(corrupt) + framed(b"after"))
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        assert frames == [b"good"]
        writer.close()
        await listener.close()

    asyncio.run(scenario())


def test_a_refused_hello_frame_ends_the_connection() -> None:
    async def scenario() -> None:
        network, port = RealNetwork(Random(1), no_log), free_port()

        def accept(_: bytes) -> Callable[[bytes], None]:
            raise ConnectionRefusedError

        listener = await network.listen_peers(f"http://127.0.0.1:{port}", accept)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(framed(b"hello"))
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
        await listener.close()

    asyncio.run(scenario())


def test_an_address_in_use_is_reported() -> None:
    async def scenario() -> None:
        network, url = RealNetwork(Random(1), no_log), f"http://127.0.0.1:{free_port()}"
        listener = await network.listen_peers(url, lambda _: lambda _: None)
        with pytest.raises(AddressInUse, match="something else listens"):
            await network.listen_peers(url, lambda _: lambda _: None)
        await listener.close()

    asyncio.run(scenario())
