"""The network between members on other hosts: nftables on the hosts cuts its links.

The rules are in a separate nftables table for each run. They concern only packets between the
members' addresses, so they never cut the connection of the harness.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shlex
from collections.abc import Mapping, Sequence

import msgspec

from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.systems.hosts.connection import HostConnection
from splitbrain.harness.systems.hosts.host import Host
from splitbrain.harness.systems.networks.network import Endpoints
from splitbrain.harness.systems.networks.nftables import (
    Link,
    Stream,
    counter,
    is_broken,
    is_slow,
    ruleset,
    streams_in,
)
from splitbrain.nemesis.capabilities import NORMAL, LinkState
from splitbrain.nemesis.fault_target import MemberName

COUNT_PERIOD_S = 0.3
"""The time between two readings of the packet counters, while a link has a fault."""


class HostNetwork:
    """The network of a cluster with one host for each member, in the order of the members."""

    def __init__(self, hosts: Sequence[Host], first_port: int) -> None:
        self._hosts = tuple(hosts)
        self._first_port = first_port
        self._connections: dict[MemberName, HostConnection] = {}
        self._states: dict[Link, LinkState] = {}
        self._streams: dict[Link, tuple[Stream, ...]] = {}
        self._counters: dict[MemberName, Mapping[str, int]] = {}
        self._counting: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    async def start(self, members: Sequence[MemberName]) -> None:
        """Log in to all hosts.

        Raises SystemFailed if there are too few hosts, or one refuses the login.
        """
        if len({host.address for host in self._hosts}) < len(members):
            raise SystemFailed(
                f"{len(members)} members need {len(members)} hosts with different addresses; "
                f"{len(self._hosts)} are given"
            )
        self._connections = {
            name: HostConnection(host)
            for name, host in zip(members, self._hosts, strict=False)
        }
        addresses = [one.host.address for one in self._connections.values()]
        self._states = dict.fromkeys(itertools.permutations(addresses, 2), NORMAL)
        await asyncio.gather(*(one.open() for one in self._connections.values()))

    async def stop(self) -> None:
        counting, self._counting = self._counting, None
        if counting is not None:
            counting.cancel()
        connections, self._connections = self._connections, {}
        await asyncio.gather(*(one.close() for one in connections.values()))

    async def endpoints(self, member: MemberName, ports: Sequence[str]) -> Endpoints:
        own = {name: self._first_port + place for place, name in enumerate(ports)}
        return Endpoints(host=self.of(member).host.address, ports=own, dialled=own)

    async def set_owners(self, pids: Mapping[MemberName, int | tuple[int, ...]]) -> None:
        """Do nothing, because the address of a packet shows which member has sent it."""

    def of(self, member: MemberName) -> HostConnection:
        """Return the connection to the host of the member.

        Raises SystemFailed if the cluster is not started.
        """
        if member not in self._connections:
            raise SystemFailed(f"there is no connection to the host of {member}")
        return self._connections[member]

    async def set_link(self, source: MemberName, target: MemberName, state: LinkState) -> None:
        """Set the state of a link. Raises SystemFailed for a delay, which nftables cannot cause."""
        if is_slow(state):
            raise SystemFailed("nftables can cut links and lose packets, but not delay them")
        link = (self.of(source).host.address, self.of(target).host.address)
        async with self._lock:
            before = self._states[link]
            self._states[link] = state
            if state.half_open and not before.half_open:
                self._streams[link] = await self._streams_of(source, link)
            elif not state.half_open:
                self._streams.pop(link, None)
            await asyncio.gather(self._apply(source), self._apply(target))
            if state.half_open and not before.half_open:
                await self._end_sockets(source, link)
            elif is_broken(link, self._states):
                await self._end_sockets(source, link)
                await self._end_sockets(target, link[::-1])
        if self._counting is None:
            self._counting = asyncio.create_task(self._count(), name="counters of hosts")

    def link_effects(self, source: MemberName, target: MemberName) -> int:
        """Return how many packets of the link were dropped or refused.

        The counters are read every `COUNT_PERIOD_S`, so the newest packets may be missing.
        """
        link = (self.of(source).host.address, self.of(target).host.address)
        name = counter(link)
        return sum(counters.get(name, 0) for counters in self._counters.values())

    async def _apply(self, member: MemberName) -> None:
        """Load the nftables rules of the links that begin or end at the host of `member`."""
        connection = self.of(member)
        own = connection.host.address
        # A lost packet is dropped on the host where it arrives. A packet of a broken link is
        # refused on the host that sends it, so that the sender notices at once.
        states = {
            link: state if link[1] == own or is_broken(link, self._states)
            else msgspec.structs.replace(state, lost_percent=0.0)
            for link, state in self._states.items() if own in link
        }
        streams = {link: found for link, found in self._streams.items() if link[0] == own}
        rules = ruleset(("input", "output"), states, streams, table=connection.table)
        await connection.as_root("nft -f -", rules)

    async def _count(self) -> None:
        while True:
            for member, connection in self._connections.items():
                command = f"nft -j list counters table ip {connection.table}"
                with contextlib.suppress(SystemFailed, msgspec.MsgspecError):
                    found = msgspec.json.decode(await connection.as_root(command))["nftables"]
                    self._counters[member] = {
                        str(one["counter"]["name"]): int(one["counter"]["packets"])
                        for one in found if "counter" in one
                    }
            await asyncio.sleep(COUNT_PERIOD_S)

    async def _streams_of(self, member: MemberName, link: Link) -> tuple[Stream, ...]:
        command = f"ss -tnHO state established dst {shlex.quote(link[1])}"
        return streams_in(await self.of(member).run(command), link)

    async def _end_sockets(self, member: MemberName, link: Link) -> None:
        """End the connections of `member` with the link's target, if the kernel can do that."""
        with contextlib.suppress(SystemFailed):
            await self.of(member).as_root(f"ss -KtnH dst {shlex.quote(link[1])}")
