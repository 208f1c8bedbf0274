"""The interface of a cluster's network, and the network on loopback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.systems.processes.ports import HOST, Ports
from splitbrain.harness.systems.proxies.proxy_process import ProxyProcess
from splitbrain.nemesis.capabilities import LinkState
from splitbrain.nemesis.fault_target import MemberName

LOOPBACK, NAMESPACES = "loopback", "namespaces"
NETWORKS = {
    LOOPBACK: "all members listen on 127.0.0.1; proxies carry the links between them",
    NAMESPACES: "each member has a network namespace and an address of its own",
}
"""Maps the name of a network to its description."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """The address of one member, and its ports."""

    host: str
    ports: Mapping[str, int]
    """Maps the name of a port to the port number at which the member listens."""
    dialled: Mapping[str, int]
    """Maps the name of a port to the port number at which other members reach the member. This can
    be a port of a proxy."""
    namespace: Path | None = None
    """The network namespace of the member's processes, or None if they run in that of the
    harness."""


class MemberNetwork(Protocol):
    """The network between the members of one cluster."""

    async def start(self, members: Sequence[MemberName]) -> None:
        """Create the network for `members`. Raises SystemFailed."""

    async def stop(self) -> None:
        """Undo everything. The method may be called in any state and repeatedly."""

    async def endpoints(self, member: MemberName, ports: Sequence[str]) -> Endpoints:
        """Reserve addresses for `member`, which listens on ports with these names."""

    async def set_owners(self, pids: Mapping[MemberName, int | tuple[int, ...]]) -> None:
        """Tell the network the process ids of each running member."""

    async def set_link(self, source: MemberName, target: MemberName, state: LinkState) -> None:
        """Set the state of a link. Raises SystemFailed if the network has no such link."""

    def link_effects(self, source: MemberName, target: MemberName) -> int:
        """Return how many packets or chunks the faults of the link have changed so far."""


class Loopback:
    """The network of members that all listen on 127.0.0.1.

    The ports whose names are in `proxied` have proxies in front of them.
    """

    def __init__(self, *, seed: int, proxied: Sequence[str], log: Path) -> None:
        self._seed = seed
        self._proxied = tuple(proxied)
        self._log = log
        self._ports = Ports()
        self._proxies: ProxyProcess | None = None

    async def start(self, members: Sequence[MemberName]) -> None:
        if self._proxied:
            self._proxies = ProxyProcess(self._seed, self._log)
            await self._proxies.start()

    async def stop(self) -> None:
        proxies, self._proxies = self._proxies, None
        try:
            if proxies is not None:
                await proxies.stop()
        finally:
            self._ports.release()

    async def endpoints(self, member: MemberName, ports: Sequence[str]) -> Endpoints:
        own = {name: self._ports.take() for name in ports}
        dialled = dict(own)
        if self._proxies is not None:
            for name in self._proxied:
                dialled[name] = await self._proxies.listen(member, own[name])
        return Endpoints(host=HOST, ports=own, dialled=dialled)

    async def set_owners(self, pids: Mapping[MemberName, int | tuple[int, ...]]) -> None:
        if self._proxies is not None:
            await self._proxies.set_owners(pids)

    async def set_link(self, source: MemberName, target: MemberName, state: LinkState) -> None:
        if self._proxies is None:
            raise SystemFailed("it was started without proxies, or it is not started")
        await self._proxies.set_link(source, target, state)

    def link_effects(self, source: MemberName, target: MemberName) -> int:
        return self._proxies.link_effects(source, target) if self._proxies is not None else 0
