"""Changes the links between the members of a cluster of processes."""

from __future__ import annotations

from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.systems.clusters.member_processes import M, MemberProcesses
from splitbrain.nemesis.capabilities import LinkState
from splitbrain.nemesis.fault_target import CLIENTS, MemberName


class LinkFaults(MemberProcesses[M]):
    """A cluster whose links can be cut, slowed and made faulty; implements `FaultyLinks`."""

    async def set_link(self, source: MemberName, target: MemberName, state: LinkState) -> None:
        """Set the state of the link from `source` to `target`, for all ports with a proxy.

        The state is in force when this method returns. With network namespaces, source or target
        can be `clients`, too.
        """
        for name in (source, target):
            if name != CLIENTS:
                self._place_of(name)
        try:
            await self._network.set_link(source, target, state)
        except SystemFailed as problem:
            raise SystemFailed(
                f"the links of {self._shown_name()} cannot be changed: {problem}"
            ) from problem

    def link_effects(self, source: MemberName, target: MemberName) -> int:
        """Return how many packets or chunks the faults of the link have changed so far."""
        return self._network.link_effects(source, target)
