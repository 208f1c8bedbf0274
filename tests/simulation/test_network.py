"""The simulated network delays, reorders and loses frames between two machines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

import pytest

from splitbrain.harness.schedule.network_and_disk_conditions import NetworkConditions
from splitbrain.harness.simulation.coverage import Coverage
from splitbrain.harness.simulation.network import Dialler, Network
from splitbrain.harness.simulation.simulated_process import Process
from splitbrain.harness.simulation.virtual_loop import VirtualLoop
from splitbrain.nemesis.capabilities import NORMAL, LinkState

FRAMES = 200


class Pair:
    """A connection from `a` to `b`. `b` stores the frames that follow the introduction of `a`."""

    def __init__(self, conditions: NetworkConditions) -> None:
        self.loop = VirtualLoop()
        self.coverage = Coverage()
        self.network = Network(
            self.loop, lambda a, b: Random(f"{a}{b}"), conditions, self.coverage.reached
        )
        self.received: list[int] = []
        self.introductions = 0
        self.processes = {name: Process(name, 1) for name in "ab"}
        for name, process in self.processes.items():
            self.network.add_machine(name, f"http://{name}")
            self.network.listen(process, f"http://{name}", self._accept)
        self.link: Dialler = self.network.dial(
            self.processes["a"], "http://b", b"a", queue_bytes_max=1 << 20
        )
        self.wait(0.5)
        assert self.link.connected

    def _accept(self, hello: bytes) -> Callable[[bytes], None]:
        assert hello == b"a"
        self.introductions += 1
        return lambda frame: self.received.append(int(frame))

    def wait(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def send(self, first: int = 0, count: int = FRAMES) -> int:
        """The number of frames that the link accepted."""
        return sum(self.link.send(b"%d" % number) for number in range(first, first + count))


def test_frames_arrive_complete_in_order_and_once() -> None:
    pair = Pair(NetworkConditions(slow_percent=5.0))
    assert pair.send() == FRAMES
    pair.wait(5)
    assert pair.received == list(range(FRAMES))
    assert pair.link.queued_bytes == 0


def test_a_loose_network_loses_frames() -> None:
    pair = Pair(NetworkConditions(loose=True, loss_percent=20.0))
    pair.send()
    pair.wait(5)
    assert 100 < len(pair.received) < 190
    assert pair.received == sorted(set(pair.received))
    assert pair.coverage.counts["a frame was lost"] == FRAMES - len(pair.received)
    assert pair.link.queued_bytes == 0


def test_a_loose_network_duplicates_frames() -> None:
    pair = Pair(NetworkConditions(loose=True, duplicate_percent=20.0))
    pair.send()
    pair.wait(5)
    assert set(pair.received) == set(range(FRAMES))
    assert 10 < len(pair.received) - FRAMES < 90
    assert pair.link.queued_bytes == 0


def test_a_loose_network_reorders_frames() -> None:
    pair = Pair(NetworkConditions(loose=True, reorder_percent=30.0))
    pair.send()
    pair.wait(5)
    assert sorted(pair.received) == list(range(FRAMES))
    assert pair.received != sorted(pair.received)


def test_a_cut_breaks_connections_and_loses_frames_in_flight() -> None:
    pair = Pair(NetworkConditions(delay_us=(50_000, 1)))
    pair.send(count=3)
    for ends in (("a", "b"), ("b", "a")):
        pair.network.set_link(*ends, LinkState(open=False))
    pair.wait(1)
    assert not pair.link.connected
    assert not pair.link.send(b"9")
    for ends in (("a", "b"), ("b", "a")):
        pair.network.set_link(*ends, NORMAL)
    pair.wait(2)
    assert pair.link.connected
    assert pair.received == []
    assert pair.introductions == 2


@pytest.mark.parametrize("how", [LinkState(black_hole=True), LinkState(open=False)])
def test_frames_that_a_cut_direction_holds_back_arrive_late(how: LinkState) -> None:
    """A link that is cut in one direction keeps its connections."""
    pair = Pair(NetworkConditions())
    pair.network.set_link("a", "b", how)
    pair.send(count=3)
    pair.wait(1)
    assert pair.received == []
    pair.network.set_link("a", "b", NORMAL)
    pair.wait(1)
    assert pair.received == [0, 1, 2]
    assert pair.introductions == 1


def test_a_slow_link_needs_time_for_each_byte() -> None:
    pair = Pair(NetworkConditions())
    pair.network.set_link("a", "b", LinkState(rate_bytes_per_s=1000))
    pair.link.send(b"7".rjust(2000, b"0"))
    pair.wait(1.9)
    assert pair.received == []
    pair.wait(0.2)
    assert pair.received == [7]


def test_a_connection_to_a_restarted_machine_breaks_when_it_sends() -> None:
    pair = Pair(NetworkConditions())
    pair.network.set_link("b", "a", LinkState(black_hole=True))
    pair.link.send(b"1")
    pair.processes["b"].end()
    pair.network.process_ended("b")
    pair.wait(1)
    assert pair.link.connected
    pair.network.set_link("b", "a", NORMAL)
    pair.wait(0.3)
    assert not pair.link.connected
    assert pair.coverage.counts["a connection outlived its listener's machine"] == 1


def test_lost_frames_arrive_late_and_in_order() -> None:
    pair = Pair(NetworkConditions())
    pair.network.set_link("a", "b", LinkState(lost_percent=20.0))
    pair.send()
    pair.wait(0.1)
    assert pair.received != list(range(FRAMES))
    pair.wait(60)
    assert pair.received == list(range(FRAMES))
    assert 10 < pair.network.link("a", "b").effects < 90


def test_a_corrupted_frame_ends_the_connection() -> None:
    pair = Pair(NetworkConditions())
    pair.network.set_link("a", "b", LinkState(corrupt_percent=100.0))
    pair.send(count=1)
    pair.wait(0.01)
    assert not pair.link.connected
    pair.network.set_link("a", "b", NORMAL)
    pair.wait(2)
    pair.send(count=3)
    pair.wait(1)
    assert pair.received == [0, 1, 2]
    assert pair.network.link("a", "b").effects >= 1


def test_a_connection_that_the_listener_has_lost_swallows_frames_until_the_fault_ends() -> None:
    pair = Pair(NetworkConditions())
    pair.network.set_link("b", "a", LinkState(half_open=True))
    pair.send(count=3)
    pair.wait(3)
    assert pair.link.connected
    assert pair.received == []
    assert pair.network.link("b", "a").effects == 4
    pair.network.set_link("b", "a", NORMAL)
    pair.wait(1)
    pair.send(count=3)
    pair.wait(1)
    assert pair.received == [0, 1, 2]
    assert pair.introductions == 2


def test_a_connection_that_the_dialler_has_lost_is_dialled_again() -> None:
    pair = Pair(NetworkConditions())
    pair.network.set_link("a", "b", LinkState(half_open=True))
    pair.wait(1)
    pair.send(count=3)
    pair.wait(1)
    assert pair.received == [0, 1, 2]
    assert pair.introductions == 2
    pair.network.set_link("a", "b", NORMAL)
    pair.wait(1)
    assert pair.link.connected
    assert pair.introductions == 2
    assert pair.network.link("a", "b").connections == 1


def lose_power(pair: Pair) -> None:
    pair.network.power_lost("b")


def end_listener(pair: Pair) -> None:
    pair.network.process_ended("b")


def end_listener_behind_a_held_link(pair: Pair) -> None:
    pair.network.set_link("b", "a", LinkState(black_hole=True))
    pair.network.process_ended("b")


def end_dialler(pair: Pair) -> None:
    pair.send(count=1)
    pair.link.finish()


@pytest.mark.parametrize(
    "end", [lose_power, end_listener, end_listener_behind_a_held_link, end_dialler]
)
def test_a_connection_that_lost_an_end_does_not_count(end: Callable[[Pair], None]) -> None:
    pair = Pair(NetworkConditions())
    link = pair.network.link("a", "b")
    assert link.connections == 1
    end(pair)
    assert link.connections == 0
    assert link.disturbed_ns == pair.loop.now_ns
    pair.wait(3)
    assert link.connections == 0


def test_a_frame_that_is_late_for_two_reasons_disturbs_its_link_until_it_arrives() -> None:
    pair = Pair(NetworkConditions())
    pair.network.link("a", "b").conditions = NetworkConditions(slow_percent=100.0)
    pair.network.set_link("a", "b", LinkState(delay_ms=150))
    pair.send(count=1)
    link, begun_ns = pair.network.link("a", "b"), pair.loop.now_ns
    while not pair.received:
        pair.wait(0.001)
    assert pair.loop.now_ns - begun_ns >= 350_000_000
    assert link.disturbed_ns >= pair.loop.now_ns - 1_000_000


def test_a_link_counts_the_peers_that_still_dial() -> None:
    """Seed 1503921: a link counted as healthy by its connection for calls, without messages."""
    pair = Pair(NetworkConditions())
    link = pair.network.link("a", "b")
    assert (link.connections, link.dialling) == (1, 0)
    pair.network.set_link("a", "b", LinkState(open=False))
    pair.network.set_link("b", "a", LinkState(open=False))
    pair.wait(0.5)
    assert (link.connections, link.dialling) == (0, 1)
    other = pair.network.dial(pair.processes["a"], "http://b", b"a", queue_bytes_max=1 << 20)
    assert link.dialling == 2
    pair.network.set_link("a", "b", NORMAL)
    pair.network.set_link("b", "a", NORMAL)
    pair.wait(20)
    assert (link.connections, link.dialling) == (2, 0)
    other.close()
    pair.network.set_link("a", "b", LinkState(open=False))
    pair.network.set_link("b", "a", LinkState(open=False))
    pair.wait(0.5)
    assert link.dialling == 1
    pair.link.finish()
    assert link.dialling == 0
