"""A network in which each member has a network namespace and an address, without proxies.

A router, which is also a namespace, connects the members and the harness by pairs of virtual
Ethernet devices. nftables in the router cuts links and loses packets. Packets of slow links pass
through a process (`slow_links.py`), because not every kernel can delay packets by itself.

    harness 198.18.0.1 ── router ── n1 198.18.0.11
                             ├───── n2 198.18.0.12
                             └───── n3 198.18.0.13

There are also links between the harness and each member. In these links, the harness has the name
"clients". Every namespace and device is written to the journal before it is created, so that the
next run removes what a killed run has left.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.systems.networks.address_block import AddressBlock
from splitbrain.harness.systems.networks.network import Endpoints
from splitbrain.harness.systems.networks.nftables import (
    SLOW_INTERFACE,
    SLOW_MARK,
    TABLE,
    Link,
    Stream,
    counter,
    is_broken,
    is_slow,
    ruleset,
    streams_in,
)
from splitbrain.harness.systems.networks.slow_process import SlowProcess
from splitbrain.nemesis.capabilities import NORMAL, LinkState
from splitbrain.nemesis.fault_target import CLIENTS, MemberName
from splitbrain.nemesis.linux.namespaces import (
    found,
    missing,
    path_of,
    remove_interface,
    remove_namespace,
)
from splitbrain.nemesis.linux.undo_journal import Journal, NetworkInterface, NetworkNamespace

FIRST_PORT = 7001
COMMAND_TIMEOUT_S = 20.0
COUNTERS_OUTDATED_S = 0.05
SLOW_TABLE = 100
"""The number of the routing table for packets of slow links."""


class Namespaces:
    """The network of one cluster, with network namespaces, from `start` to `stop`."""

    _clusters = itertools.count(1)

    def __init__(self, *, seed: int, log: Path) -> None:
        self._tag = f"{os.getpid()}-{next(self._clusters)}"
        self._router = f"splitbrain-{self._tag}-router"
        self._device = f"sb{self._tag}"
        self._journal = Journal()
        self._noted: list[tuple[int, NetworkNamespace | NetworkInterface]] = []
        self._block: AddressBlock | None = None
        self._addresses: dict[MemberName, str] = {}
        """Maps each member, and `CLIENTS`, to its address."""
        self._spaces: dict[MemberName, str] = {}
        self._states: dict[Link, LinkState] = {}
        self._streams: dict[Link, tuple[Stream, ...]] = {}
        """Maps a link to the connections that its source has lost and its target still has."""
        self._slow = SlowProcess(seed, log)
        self._lock = asyncio.Lock()
        self._counters: dict[str, int] = {}
        self._counted_at_s = 0.0

    async def start(self, members: Sequence[MemberName]) -> None:
        if (why := missing()):
            raise SystemFailed(why)
        block = self._block = AddressBlock()
        self._addresses = {
            CLIENTS: block.harness,
            **{name: block.member(number) for number, name in enumerate(members, start=1)},
        }
        self._states = dict.fromkeys(itertools.permutations(self._addresses.values(), 2), NORMAL)
        await asyncio.to_thread(self._make, block, tuple(members))
        await self._slow.start(path_of(self._router))
        await asyncio.to_thread(self._route_slow_packets)
        await self._apply()

    async def stop(self) -> None:
        await self._slow.stop()
        await asyncio.to_thread(self._remove)
        if self._block is not None:
            self._block.release()
            self._block = None

    async def endpoints(self, member: MemberName, ports: Sequence[str]) -> Endpoints:
        own = {name: FIRST_PORT + place for place, name in enumerate(ports)}
        return Endpoints(
            host=self._addresses[member], ports=own, dialled=own,
            namespace=path_of(self._spaces[member]),
        )

    async def set_owners(self, pids: Mapping[MemberName, int | tuple[int, ...]]) -> None:
        """Do nothing, because the address of a packet shows which member has sent it."""

    async def set_link(self, source: MemberName, target: MemberName, state: LinkState) -> None:
        """Set the state of the link. `source` or `target` may be `CLIENTS`."""
        for name in (source, target):
            if name not in self._addresses:
                raise SystemFailed(
                    f"no member {name!r} in this network: it has {', '.join(self._addresses)}"
                )
        async with self._lock:
            link = (self._addresses[source], self._addresses[target])
            before = self._states[link]
            self._states[link] = state
            if state.half_open and not before.half_open:
                self._streams[link] = await asyncio.to_thread(self._streams_of, source, link)
            elif not state.half_open:
                self._streams.pop(link, None)
            if is_slow(state) or is_slow(before):
                await self._slow.set_state(link, state)
            await self._apply()
            if state.half_open and not before.half_open:
                await asyncio.to_thread(self._end_sockets, source, link)
            elif is_broken(link, self._states):
                for name, one in ((source, link), (target, link[::-1])):
                    await asyncio.to_thread(self._end_sockets, name, one)

    def link_effects(self, source: MemberName, target: MemberName) -> int:
        """Return how many packets of the link were dropped, refused, delayed or changed."""
        link = (self._addresses.get(source, ""), self._addresses.get(target, ""))
        if link not in self._states:
            return 0
        if time.monotonic() - self._counted_at_s > COUNTERS_OUTDATED_S:
            self._read_counters()
        return self._counters.get(counter(link), 0) + self._slow.effects(link)

    # --- making and removing ---------------------------------------------------------------

    def _make(self, block: AddressBlock, members: Sequence[MemberName]) -> None:
        self._add_namespace(self._router)
        self._note(NetworkInterface(self._device))
        self._ip("link", "add", self._device, "type", "veth", "peer", "name", "harness",
                 "netns", self._router)
        router: list[str] = [
            "link set lo up", f"addr add {block.router}/32 dev lo", "link set harness up",
            f"route add {block.harness}/32 dev harness",
        ]
        for number, name in enumerate(members, start=1):
            space, address = f"splitbrain-{self._tag}-{number}", self._addresses[name]
            self._add_namespace(space)
            self._spaces[name] = space
            self._ip("link", "add", f"m{number}", "netns", self._router, "type", "veth",
                     "peer", "name", "eth0", "netns", space)
            self._batch(space, (
                "link set lo up", f"addr add {address}/32 dev eth0", "link set eth0 up",
                f"route add {block.router}/32 dev eth0", f"route add default via {block.router}",
            ))
            router += [f"link set m{number} up", f"route add {address}/32 dev m{number}"]
        self._batch(self._router, router)
        self._ip("addr", "add", f"{block.harness}/32", "dev", self._device)
        self._ip("link", "set", self._device, "up")
        self._ip("route", "add", f"{block.router}/32", "dev", self._device)
        self._ip("route", "add", block.network, "via", block.router, "src", block.harness)
        self._inside(self._router, (
            "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward && "
            "for one in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $one; done",
        ))

    def _route_slow_packets(self) -> None:
        self._batch(self._router, (
            f"link set {SLOW_INTERFACE} up",
            f"route add default dev {SLOW_INTERFACE} table {SLOW_TABLE}",
            f"rule add pref 100 fwmark {SLOW_MARK} lookup {SLOW_TABLE}",
        ))
        self._inside(self._router, (
            "sh", "-c", f"echo 0 > /proc/sys/net/ipv4/conf/{SLOW_INTERFACE}/rp_filter",
        ))

    def _add_namespace(self, name: str) -> None:
        self._note(NetworkNamespace(name))
        self._ip("netns", "add", name)

    def _note(self, change: NetworkNamespace | NetworkInterface) -> None:
        self._noted.append((self._journal.note(change), change))

    def _remove(self) -> None:
        while self._noted:
            number, change = self._noted[-1]
            if isinstance(change, NetworkNamespace):
                remove_namespace(change.name)
            else:
                remove_interface(change.name)
            self._journal.settle(number)
            self._noted.pop()

    # --- rules and connections -------------------------------------------------------------

    async def _apply(self) -> None:
        rules = ruleset(("forward",), self._states, self._streams)
        await asyncio.to_thread(self._inside, self._router, ("nft", "-f", "-"), rules)

    def _read_counters(self) -> None:
        text = self._inside(self._router, ("nft", "-j", "list", "counters", "table", "ip", TABLE))
        found_counters = [
            one["counter"] for one in msgspec.json.decode(text)["nftables"] if "counter" in one
        ]
        self._counters = {str(one["name"]): int(one["packets"]) for one in found_counters}
        self._counted_at_s = time.monotonic()

    def _streams_of(self, member: MemberName, link: Link) -> tuple[Stream, ...]:
        """Return the open connections of `member` with the link's target."""
        text = self._in_space_of(
            member, ("ss", "-tnHO", "state", "established", "dst", link[1])
        )
        return streams_in(text, link)

    def _end_sockets(self, member: MemberName, link: Link) -> None:
        """End the connections of `member` with the link's target, without notice to the target.

        Some kernels cannot end connections. Then the connections stay open, and the router refuses
        the next packet that `member` sends.
        """
        if member != CLIENTS:
            self._in_space_of(member, ("ss", "-KtnH", "dst", link[1]))

    # --- commands --------------------------------------------------------------------------

    def _in_space_of(self, member: MemberName, command: Sequence[str]) -> str:
        if member == CLIENTS:
            return _run(command)
        return self._inside(self._spaces[member], command)

    def _inside(self, space: str, command: Sequence[str], given: str = "") -> str:
        first = found(command[0]) or command[0]
        return _run(("nsenter", f"--net={path_of(space)}", first, *command[1:]), given)

    def _ip(self, *words: str) -> None:
        _run(("ip", *words))

    def _batch(self, space: str, commands: Sequence[str]) -> None:
        _run(("ip", "-n", space, "-batch", "-"), "\n".join(commands) + "\n")


def _run(command: Sequence[str], given: str = "") -> str:
    """Run a command with the input `given`, and return its output.

    Raises SystemFailed if the command fails.
    """
    program = found(command[0]) or command[0]
    try:
        done = subprocess.run(
            (program, *command[1:]), input=given, capture_output=True, text=True, check=False,
            timeout=COMMAND_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise SystemFailed(f"cannot run {' '.join(command)!r}: {problem}") from problem
    if done.returncode != 0:
        raise SystemFailed(
            f"{' '.join(command)!r} ended with exit code {done.returncode}: "
            f"{done.stderr.strip()[:500]}"
        )
    return done.stdout
