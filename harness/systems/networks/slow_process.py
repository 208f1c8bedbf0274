"""Starts and controls the process that delays and changes packets (`slow_links.py`)."""

from __future__ import annotations

from pathlib import Path

from splitbrain.harness.systems.networks.nftables import Link
from splitbrain.harness.systems.networks.slow_links import SetState
from splitbrain.harness.systems.processes.command_process import ControlledProcess
from splitbrain.nemesis.capabilities import LinkState


class SlowProcess:
    """Controls the process that delays packets of one cluster, in the router's namespace."""

    def __init__(self, seed: int, log: Path) -> None:
        self._seed = seed
        module = "splitbrain.harness.systems.networks.slow_links"
        self._process = ControlledProcess("slow links", module, log)
        self._slots: dict[Link, int] = {}

    async def start(self, namespace: Path) -> None:
        """Start the process, and wait until its interface exists. Raises SystemFailed."""
        await self._process.start(self._seed, namespace)

    async def set_state(self, link: Link, state: LinkState) -> None:
        """Set the state of the link between two addresses. Returns when it is in force."""
        slot = self._slots.setdefault(link, len(self._slots))
        await self._process.ask(SetState(*link, state, slot))

    def effects(self, link: Link) -> int:
        """Return how many packets of the link were delayed, changed or lost."""
        return self._process.counter(self._slots.get(link))

    async def stop(self) -> None:
        """End the process. The method may be called in any state."""
        await self._process.stop()
