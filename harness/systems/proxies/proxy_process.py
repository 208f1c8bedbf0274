"""Runs the proxies in a separate process, which the harness controls through `ProxyProcess`.

All messages between members pass through the proxies. In the loop of the harness the proxies would
compete with the clients for the interpreter, so that a loaded harness would look like a slow
network.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.systems.processes.command_process import (
    ControlledProcess,
    Counters,
    Execute,
    serve_commands,
)
from splitbrain.harness.systems.proxies.proxy import Proxies
from splitbrain.nemesis.capabilities import LinkState
from splitbrain.nemesis.fault_target import MemberName


class Listen(msgspec.Struct, frozen=True, tag_field="do", tag="listen"):
    target: MemberName
    port: int


class SetOwners(msgspec.Struct, frozen=True, tag_field="do", tag="set_owners"):
    pids: dict[MemberName, int | tuple[int, ...]]


class SetLink(msgspec.Struct, frozen=True, tag_field="do", tag="set_link"):
    source: MemberName
    target: MemberName
    state: LinkState
    slot: int
    """The position of the link's counter in the shared memory."""


Command = Listen | SetOwners | SetLink


class Answer(msgspec.Struct, frozen=True):
    port: int = 0
    error: str = ""


class ProxyProcess:
    """Controls the process that runs the proxies of one cluster."""

    def __init__(self, seed: int, log: Path) -> None:
        self._seed = seed
        module = "splitbrain.harness.systems.proxies.proxy_process"
        self._process = ControlledProcess("the proxies between members", module, log)
        self._slots: dict[tuple[MemberName, MemberName], int] = {}

    async def start(self) -> None:
        """Start the process of the proxies. Raises SystemFailed."""
        await self._process.start(self._seed)

    async def listen(self, target: MemberName, port: int) -> int:
        """Open the proxy in front of `target`, which listens on `port`.

        Returns the proxy's port.
        """
        return (await self._ask(Listen(target, port))).port

    async def set_owners(self, pids: Mapping[MemberName, int | tuple[int, ...]]) -> None:
        """Tell the proxies the process ids of each running member."""
        await self._ask(SetOwners(dict(pids)))

    async def set_link(self, source: MemberName, target: MemberName, state: LinkState) -> None:
        """Set the state of a link. Returns when it is in force."""
        slot = self._slots.setdefault((source, target), len(self._slots))
        await self._ask(SetLink(source, target, state, slot))

    def link_effects(self, source: MemberName, target: MemberName) -> int:
        """Return how many chunks and connections the faults of the link have changed so far."""
        return self._process.counter(self._slots.get((source, target)))

    async def stop(self) -> None:
        """End the process. The method may be called in any state."""
        await self._process.stop()

    async def _ask(self, command: Command) -> Answer:
        answer = msgspec.json.decode(await self._process.ask(command), type=Answer)
        if answer.error:
            raise SystemFailed(f"the proxies between members: {answer.error}")
        return answer


# --- in the process of the proxies ----------------------------------------------------


class _LinkCounters:
    """Counts how often each link has changed a chunk or a connection.

    `add` ignores a link that has no position in the shared memory.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self.slots: dict[tuple[MemberName, MemberName], int] = {}

    def add(self, link: tuple[MemberName, MemberName], changed: int) -> None:
        if (slot := self.slots.get(link)) is not None:
            self._counters.add(slot, changed)


async def _prepare(counters: Counters, seed: int) -> Execute:
    decoder = msgspec.json.Decoder(Command)
    of_links = _LinkCounters(counters)
    proxies = Proxies(seed, of_links.add)

    async def execute(line: bytes) -> bytes:
        try:
            answer = await _execute(proxies, of_links, decoder.decode(line))
        except OSError as problem:
            answer = Answer(error=str(problem))
        return msgspec.json.encode(answer)

    return execute


async def _execute(proxies: Proxies, counters: _LinkCounters, command: Command) -> Answer:
    match command:
        case Listen(target, port):
            return Answer(port=await proxies.listen(target, port))
        case SetOwners(pids):
            proxies.set_owners(pids)
        case SetLink(source, target, state, slot):
            counters.slots[source, target] = slot
            proxies.set_link(source, target, state)
    return Answer()


if __name__ == "__main__":
    serve_commands(_prepare)
