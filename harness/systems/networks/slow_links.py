"""Delays, limits and changes packets of slow links, in a separate process.

The kernel routes the packets of slow links to a TUN interface, which this process reads. The
process writes each packet back when its delay is over. `SlowProcess` starts and controls the
process.

Source: Linux's Documentation/networking/tuntap.rst.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
from collections import deque

import msgspec

from splitbrain.harness.systems.networks.nftables import SLOW_INTERFACE
from splitbrain.harness.systems.networks.packets import ends, with_flipped_bit
from splitbrain.harness.systems.processes.command_process import Counters, Execute, serve_commands
from splitbrain.harness.systems.proxies.link import Link
from splitbrain.histories.random_stream import stream
from splitbrain.nemesis.capabilities import LinkState

QUEUE_PACKETS_MAX = 1_000
"""The largest number of packets that wait on one link. Further packets are lost, as at a router."""
PACKET_BYTES_MAX = 65_536
READS_MAX = 64
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000


class SetState(msgspec.Struct, frozen=True):
    """The command to set the state of the link between two addresses.

    `slot` is the position of the link's counter in the shared memory.
    """

    source: str
    target: str
    state: LinkState
    slot: int


class SlowLink:
    """The packets that wait on one link, in the order in which they came."""

    def __init__(self, name: tuple[str, str], seed: int, counters: Counters, slot: int) -> None:
        self._random = stream(seed, "slow link", *name)
        self._link = Link(self._random)
        self._counters = counters
        self._slot = slot
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._waiting_bytes = 0
        self._last_due_s = 0.0

    def set(self, state: LinkState) -> None:
        # nftables already loses packets and closes links, so these parts of the state are left out.
        plain = msgspec.structs.replace(state, lost_percent=0.0, open=True, black_hole=False)
        self._link.set(plain)
        waiting = [packet for _, packet in self._waiting]
        self._waiting.clear()
        self._waiting_bytes, self._last_due_s = 0, 0.0
        for packet in waiting:
            self.take(packet, asyncio.get_running_loop().time())

    def take(self, packet: bytes, now_s: float) -> None:
        """Let a packet wait for its time, or drop it if too many packets wait already."""
        state = self._link.state
        limit = state.buffer_bytes_max or PACKET_BYTES_MAX * QUEUE_PACKETS_MAX
        if len(self._waiting) >= QUEUE_PACKETS_MAX or self._waiting_bytes > limit:
            self._count()
            return
        if state.corrupt_percent and self._random.random() * 100 < state.corrupt_percent:
            packet = with_flipped_bit(packet, self._random)
            self._count()
        due = max(self._link.due_s(now_s, len(packet)), self._last_due_s)
        self._last_due_s = due
        if due > now_s:
            self._count()
        self._waiting.append((due, packet))
        self._waiting_bytes += len(packet)

    def due(self, now_s: float) -> list[bytes]:
        """Remove and return the packets whose time has come."""
        packets: list[bytes] = []
        while self._waiting and self._waiting[0][0] <= now_s:
            packets.append(self._waiting.popleft()[1])
            self._waiting_bytes -= len(packets[-1])
        return packets

    @property
    def next_due_s(self) -> float | None:
        return self._waiting[0][0] if self._waiting else None

    def _count(self) -> None:
        self._counters.add(self._slot, 1)


class SlowLinks:
    """All slow links of a cluster, and the TUN interface through which their packets pass."""

    def __init__(self, tun: int, seed: int, counters: Counters) -> None:
        self._tun = tun
        self._seed = seed
        self._counters = counters
        self._links: dict[tuple[str, str], SlowLink] = {}
        self._timer: asyncio.TimerHandle | None = None

    def set(self, command: SetState) -> None:
        name = (command.source, command.target)
        if name not in self._links:
            self._links[name] = SlowLink(name, self._seed, self._counters, command.slot)
        self._links[name].set(command.state)
        self.pass_on()

    def read(self) -> None:
        """Read the packets that the kernel has routed to the interface."""
        loop = asyncio.get_running_loop()
        for _ in range(READS_MAX):
            try:
                packet = os.read(self._tun, PACKET_BYTES_MAX)
            except BlockingIOError:
                break
            link = self._links.get(ends(packet) or ("", ""))
            if link is None:
                self._write(packet)
            else:
                link.take(packet, loop.time())
        self.pass_on()

    def pass_on(self) -> None:
        """Write back the packets whose time has come, and set a timer for the next one."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        for link in self._links.values():
            for packet in link.due(now_s):
                self._write(packet)
        next_due = [due for link in self._links.values() if (due := link.next_due_s) is not None]
        if next_due:
            self._timer = loop.call_at(min(next_due), self.pass_on)

    def _write(self, packet: bytes) -> None:
        try:
            os.write(self._tun, packet)
        except OSError:  # the interface is full or gone: the packet is lost
            return


def open_tun() -> int:
    """Create the TUN interface in the network namespace of this process. Returns its descriptor."""
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    request = struct.pack("16sH22x", SLOW_INTERFACE.encode(), _IFF_TUN | _IFF_NO_PI)
    fcntl.ioctl(tun, _TUNSETIFF, request)
    return tun


async def _prepare(counters: Counters, seed: int) -> Execute:
    tun = open_tun()
    links = SlowLinks(tun, seed, counters)
    asyncio.get_running_loop().add_reader(tun, links.read)

    async def execute(line: bytes) -> bytes:
        links.set(msgspec.json.decode(line, type=SetState))
        return b""

    return execute


if __name__ == "__main__":
    serve_commands(_prepare)
