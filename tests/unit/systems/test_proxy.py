"""The proxies between members put links into each state, and refuse strangers."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.systems.proxies.one_direction import QUEUE_BYTES_MAX
from splitbrain.harness.systems.proxies.proxy import Proxies
from splitbrain.harness.systems.proxies.proxy_process import ProxyProcess
from splitbrain.nemesis.capabilities import NORMAL, LinkState

CUT = LinkState(open=False)
HOLE = LinkState(black_hole=True)
SOON_S = 0.25

Run = Callable[[Coroutine[Any, Any, None]], None]
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop,
}


@pytest.fixture(params=sorted(LOOPS))
def run(request: pytest.FixtureRequest) -> Run:
    def in_loop(main: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            runner.run(asyncio.wait_for(main, 20))

    return in_loop


class Pair:
    """Members n1 and n2, both in this process. n1 dials n2 through the proxy of n2."""

    def __init__(self) -> None:
        self.changed: Counter[tuple[str, str]] = Counter()
        self.proxies = Proxies(1, lambda link, count: self.changed.update({link: count}))
        self.accepted: asyncio.Queue[Stream] = asyncio.Queue()

    async def __aenter__(self) -> Pair:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.accepted.put_nowait((reader, writer))

        self.server = await asyncio.start_server(accept, "127.0.0.1", 0)
        self.port = await self.proxies.listen("n2", self.server.sockets[0].getsockname()[1])
        self.proxies.set_owners({"n1": os.getpid()})
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.proxies.close()
        self.server.close()

    async def dial(self) -> Stream:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def joined(self) -> tuple[Stream, Stream]:
        """A connection: the end of n1, and the end of n2."""
        mine = await self.dial()
        theirs = await asyncio.wait_for(self.accepted.get(), 5)
        return mine, theirs

    def set(self, forward: LinkState, back: LinkState = NORMAL) -> None:
        self.proxies.set_link("n1", "n2", forward)
        self.proxies.set_link("n2", "n1", back)


async def nothing_arrives(reader: asyncio.StreamReader) -> bool:
    try:
        return not await asyncio.wait_for(reader.read(1), SOON_S) and False
    except TimeoutError:
        return True


async def closed(reader: asyncio.StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(1), 5) == b""
    except ConnectionError:
        return True


def test_bytes_and_the_end_of_each_stream_pass_in_both_directions(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            (r1, w1), (r2, w2) = await pair.joined()
            data = os.urandom(3_000_000)
            w1.write(data)
            w1.write_eof()
            assert await r2.read() == data
            w2.write(data[::-1])
            w2.write_eof()
            assert await r1.read() == data[::-1]
            await asyncio.sleep(0.05)
            assert not pair.proxies._connections

    run(main())


def test_bytes_sent_while_the_target_is_being_dialled_are_not_lost(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            _, w1 = await pair.dial()
            w1.write(b"early")
            w1.write_eof()
            r2, _ = await pair.accepted.get()
            assert await r2.read() == b"early"

    run(main())


def test_a_cut_both_ways_breaks_connections_and_refuses_new_ones_until_it_heals(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            (r1, _), (r2, _) = await pair.joined()
            pair.set(CUT, CUT)
            assert await closed(r1)
            assert await closed(r2)
            r1, _ = await pair.dial()
            assert await closed(r1)
            assert pair.accepted.empty()
            pair.set(NORMAL)
            (_, w1), (r2, _) = await pair.joined()
            w1.write(b"x")
            assert await r2.readexactly(1) == b"x"

    run(main())


@pytest.mark.parametrize("held", [CUT, HOLE], ids=["cut", "black_hole"])
def test_a_cut_of_the_forward_direction_lets_the_answers_pass(
    run: Run, held: LinkState
) -> None:
    async def main() -> None:
        async with Pair() as pair:
            (r1, w1), (r2, w2) = await pair.joined()
            pair.set(held)
            w1.write(b"lost")
            w2.write(b"told")
            assert await r1.readexactly(4) == b"told"
            assert await nothing_arrives(r2)
            pair.set(NORMAL)
            assert await r2.readexactly(4) == b"lost"

    run(main())


@pytest.mark.parametrize("held", [CUT, HOLE], ids=["cut", "black_hole"])
def test_a_cut_of_the_backward_direction_lets_the_requests_pass(
    run: Run, held: LinkState
) -> None:
    async def main() -> None:
        async with Pair() as pair:
            (r1, w1), (r2, w2) = await pair.joined()
            pair.set(NORMAL, held)
            w1.write(b"told")
            w2.write(b"lost")
            assert await r2.readexactly(4) == b"told"
            assert await nothing_arrives(r1)
            pair.set(NORMAL)
            assert await r1.readexactly(4) == b"lost"

    run(main())


def test_a_black_hole_keeps_connections_and_does_not_dial_the_target_for_new_ones(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            (r1, w1), (r2, _) = await pair.joined()
            pair.set(HOLE, HOLE)
            w1.write(b"later")
            _, new = await pair.dial()
            new.write(b"newcomer")
            assert await nothing_arrives(r2)
            assert await nothing_arrives(r1)
            assert pair.accepted.empty()
            pair.set(NORMAL)
            assert await r2.readexactly(5) == b"later"
            r2, _ = await pair.accepted.get()
            assert await r2.readexactly(8) == b"newcomer"

    run(main())


def test_a_held_link_stops_the_sender_instead_of_filling_the_memory_of_the_proxy(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            (_, w1), (r2, _) = await pair.joined()
            pair.set(HOLE)
            w1.write(bytes(64 * 1024 * 1024))
            await asyncio.sleep(SOON_S)
            assert w1.transport.get_write_buffer_size() > 16 * 1024 * 1024
            (connection,) = pair.proxies._connections
            assert connection.forward._queued_bytes <= QUEUE_BYTES_MAX
            pair.set(NORMAL)
            assert len(await r2.readexactly(64 * 1024 * 1024)) == 64 * 1024 * 1024

    run(main())


def test_a_delay_applies_to_every_chunk_and_keeps_the_order(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            (r1, w1), (r2, w2) = await pair.joined()
            pair.set(LinkState(delay_ms=100, jitter_ms=50))
            began = time.monotonic()
            got = b""
            for number in range(20):
                w1.write(bytes([number]))
                await asyncio.sleep(0.005)
            while len(got) < 20:
                got += await r2.read(100)
                if len(got) == 1:
                    assert time.monotonic() - began >= 0.05
            assert got == bytes(range(20))
            assert 0.1 <= time.monotonic() - began < 1.0
            w2.write(b"back")
            assert await r1.readexactly(4) == b"back"

    run(main())


def test_a_limited_rate_applies_to_all_connections_of_a_link_together(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            pairs = [await pair.joined() for _ in range(2)]
            pair.set(LinkState(rate_bytes_per_s=100_000))
            began = time.monotonic()
            for (_, w1), _ in pairs:
                w1.write(bytes(25_000))
            for _, (r2, _) in pairs:
                await r2.readexactly(25_000)
            assert 0.45 <= time.monotonic() - began < 1.5

    run(main())


def test_delayed_bytes_pass_immediately_when_the_link_heals(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            (_, w1), (r2, _) = await pair.joined()
            pair.set(LinkState(delay_ms=60_000))
            w1.write(b"slow")
            w1.write_eof()
            assert await nothing_arrives(r2)
            pair.set(NORMAL)
            assert await asyncio.wait_for(r2.read(), 2) == b"slow"

    run(main())


def test_a_target_that_does_not_listen_breaks_the_connection(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            pair.server.close()
            await pair.server.wait_closed()
            reader, _ = await pair.dial()
            assert await closed(reader)

    run(main())


def test_a_dialler_that_is_not_a_member_is_refused(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            stranger = subprocess.Popen((sys.executable, "-c", "input()"), stdin=subprocess.PIPE)
            try:
                pair.proxies.set_owners({"n1": stranger.pid})
                reader, _ = await pair.dial()
                assert await closed(reader)
                assert pair.proxies.refused == 1
                assert pair.accepted.empty()
            finally:
                stranger.kill()
                stranger.communicate()

    run(main())


def test_a_member_that_dials_before_its_process_is_known_is_accepted(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            pair.proxies.set_owners({})
            _, w1 = await pair.dial()
            await asyncio.sleep(0.1)
            pair.proxies.set_owners({"n1": os.getpid()})
            r2, _ = await asyncio.wait_for(pair.accepted.get(), 5)
            w1.write(b"x")
            assert await r2.readexactly(1) == b"x"

    run(main())


def test_a_child_of_a_members_process_counts_as_the_member(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            code = f"import socket;socket.create_connection(('127.0.0.1',{pair.port})).recv(1)"
            # The shell stays as the parent: it has a second command to come.
            member = subprocess.Popen(("sh", "-c", f'{sys.executable} -c "{code}"; true'))
            try:
                pair.proxies.set_owners({"n1": member.pid})
                _, writer = await asyncio.wait_for(pair.accepted.get(), 5)
                writer.write(b"x")
            finally:
                await asyncio.to_thread(member.wait)

    run(main())


def test_jitter_is_drawn_from_the_seed() -> None:
    def drawn(seed: int) -> list[float]:
        link = Proxies(seed).link("a", "b")
        link.set(LinkState(delay_ms=50, jitter_ms=20))
        return [link.due_s(0.0, 10) for _ in range(10)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert all(0.03 <= due <= 0.07 for due in drawn(1))


def test_proxies_in_a_separate_process_execute_commands_and_end(tmp_path: Path) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as target:
            proxies = ProxyProcess(1, tmp_path / "log")
            await proxies.start()
            try:
                port = await proxies.listen("n2", target.getsockname()[1])
                await proxies.set_owners({"n1": os.getpid()})
                with socket.create_connection(("127.0.0.1", port)) as dialler_end:
                    dialler_end.settimeout(5)
                    accepted, _ = await asyncio.to_thread(target.accept)
                    dialler_end.sendall(b"x")
                    assert await asyncio.to_thread(accepted.recv, 1) == b"x"
                    await proxies.set_link("n1", "n2", CUT)
                    await proxies.set_link("n2", "n1", CUT)
                    with pytest.raises(ConnectionResetError):
                        dialler_end.recv(1)
            finally:
                await proxies.stop()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port))
            with pytest.raises(SystemFailed, match="not running"):
                await proxies.listen("n3", 1)
            await proxies.stop()

    asyncio.run(main())


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_the_end_of_the_process_of_the_proxies_is_reported_with_its_log(
    tmp_path: Path, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def main() -> None:
        proxies = ProxyProcess(1, tmp_path / "log")
        await proxies.start()
        try:
            child = proxies._process._child
            assert child is not None
            child.kill()
            for _ in range(3):
                with pytest.raises(SystemFailed, match=r"does not answer(.|\n)*log"):
                    await proxies.set_owners({})
                await asyncio.sleep(0.05)
        finally:
            await proxies.stop()

    with asyncio.Runner(loop_factory=new_loop) as loop:
        loop.run(main())


def test_lost_packets_arrive_late_and_in_order_and_each_loss_is_counted(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            (_, w1), (r2, _) = await pair.joined()
            pair.set(LinkState(lost_percent=100.0))
            w1.write(b"late")
            assert await nothing_arrives(r2)
            pair.set(LinkState(lost_percent=20.0))
            data = os.urandom(2_000)
            for place in range(0, len(data), 100):
                w1.write(data[place : place + 100])
                await asyncio.sleep(0.002)
            assert await asyncio.wait_for(r2.readexactly(2_004), 15) == b"late" + data
            assert pair.changed["n1", "n2"] >= 1
            assert pair.changed["n2", "n1"] == 0

    run(main())


def test_a_corrupting_link_flips_one_bit_of_a_packet(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            (_, w1), (r2, _) = await pair.joined()
            pair.set(LinkState(corrupt_percent=100.0))
            w1.write(bytes(50))
            got = int.from_bytes(await asyncio.wait_for(r2.readexactly(50), 5), "big")
            assert got.bit_count() == 1
            assert pair.changed["n1", "n2"] == 1
            pair.set(NORMAL)
            w1.write(bytes(50))
            assert await asyncio.wait_for(r2.readexactly(50), 5) == bytes(50)

    run(main())


@pytest.mark.parametrize("loses_it", ["n1", "n2"])
def test_one_end_of_a_half_open_connection_is_reset_and_the_other_sends_to_nobody(
    run: Run, loses_it: str
) -> None:
    async def main() -> None:
        async with Pair() as pair:
            one, other = await pair.joined()
            (lost, _), (kept, w_kept) = (one, other) if loses_it == "n1" else (other, one)
            link = ("n1", "n2") if loses_it == "n1" else ("n2", "n1")
            pair.proxies.set_link(*link, LinkState(half_open=True))
            assert await closed(lost)
            w_kept.write(bytes(1_000_000))
            await asyncio.wait_for(w_kept.drain(), 5)
            assert await nothing_arrives(kept)
            (_, w1), (r2, _) = await pair.joined()
            w1.write(b"a new connection is normal")
            assert await r2.readexactly(26) == b"a new connection is normal"
            assert pair.changed[link] >= 1
            pair.proxies.set_link(*link, NORMAL)
            assert await closed(kept)
            w1.write(b"x")
            assert await r2.readexactly(1) == b"x"

    run(main())


def test_a_slow_receiver_fills_the_buffers_of_its_sender(run: Run) -> None:
    async def main() -> None:
        async with Pair() as pair:
            (_, w1), (r2, _) = await pair.joined()
            pair.set(LinkState(rate_bytes_per_s=1_000, buffer_bytes_max=4_096))
            w1.write(bytes(12_000_000))
            await asyncio.sleep(SOON_S)
            assert w1.transport.get_write_buffer_size() > 1_000_000
            pair.set(NORMAL)
            assert len(await asyncio.wait_for(r2.readexactly(12_000_000), 10)) == 12_000_000

    run(main())
