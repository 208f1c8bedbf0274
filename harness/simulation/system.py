"""This project's own store in one process, under virtual time: `splitbrain.harness.simulation`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from platform import python_version

from splitbrain.harness.drive.load import Client
from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.simulation.clients import SimulatedClient
from splitbrain.harness.simulation.cluster import SimulatedCluster, client_url, peer_url
from splitbrain.harness.simulation.member_state import member_state
from splitbrain.harness.systems.member_files import MemberFiles
from splitbrain.harness.systems.python_node import member_version_text
from splitbrain.harness.systems.system import Address
from splitbrain.histories.member_state import MemberState
from splitbrain.histories.random_stream import stream
from splitbrain.nemesis.capabilities import DiskState, LinkState
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import MemberName

START_TIMEOUT_S = 30.0
POWER_LOST_AT_WORK_PERCENT = 70
POWER_LOST_LATER_S = 0.1
"""So long a power loss waits for a disk to work, at most."""
_POLL_S = 0.02


class SimulatedSystem:
    """`cluster` is made on the loop that the run runs on; files are written at `stop`.

    Suffers everything: it is Killable, Pausable, Partitionable, Powered, Clocked, Disked
    and HasFailpoints.
    """

    name = "simulated"
    settle_s = 3.0
    """Of virtual time: longer than any frame is under way, see
    `splitbrain.harness.simulation.network`."""

    def __init__(self, cluster: SimulatedCluster, folder: Path) -> None:
        self.cluster = cluster
        self._folder = folder
        self._stopped = False
        self._chance = stream(cluster.seed, "power")

    @property
    def members(self) -> Sequence[MemberName]:
        return tuple(self.cluster.members)

    async def start(self) -> None:
        for member in self.members:
            self.cluster.start(member)
        # In weather that lets nobody be elected there is nothing to test.
        if not await self._led_in_time() and self.rough:
            self.calm()
            await self._led_in_time()
        if not self._all_follow_one():
            raise SystemFailed(
                f"no leader that all members know within {START_TIMEOUT_S:g} s of virtual "
                f"time; {self._why_not()}"
            )

    async def _led_in_time(self) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + START_TIMEOUT_S
        while not self._all_follow_one():
            if loop.time() > deadline:
                return False
            await asyncio.sleep(_POLL_S)
        return True

    def _all_follow_one(self) -> bool:
        leaders = {
            member.server.raft.leader if member.server is not None else 0
            for member in self.cluster.members.values()
        }
        return len(leaders) == 1 and leaders != {0}

    def _why_not(self) -> str:
        said = [f"{m.name}: {m.stopped_why}" for m in self.cluster.members.values() if not m.alive]
        return "; ".join(said) or "all members run"

    async def stop(self) -> None:
        """Ends every process, and writes the members' logs and traces. Safe to call twice."""
        if self._stopped:
            return
        self._stopped = True
        self.cluster.stop()
        for member in self.cluster.members.values():
            folder = self._folder / member.name
            folder.mkdir(parents=True, exist_ok=True)
            self.log_path(member.name).write_bytes(b"".join(member.log_lines))
            if (trace := self.trace_path(member.name)) is not None:
                trace.write_bytes(b"".join(member.trace_lines))

    def address(self, member: MemberName) -> Address:
        return Address(member, client_url(member), peer_url(member))

    def alive(self, member: MemberName) -> bool:
        return self.cluster.members[member].alive

    async def leader(self) -> MemberName | None:
        """Who leads in the highest term that a member which runs now knows."""
        told = [
            (member.server.raft.term, member.server.raft.leader)
            for member in self.cluster.members.values()
            if member.runs and member.server is not None and member.server.raft.leader
        ]
        if not told:
            return None
        _, leader = max(told, key=lambda one: one[0])
        for member in self.cluster.members.values():
            if member.server is not None and member.server.member_id == leader:
                return member.name if member.runs else None
        return None

    async def state(self, member: MemberName, at_revision: int | None = None) -> MemberState:
        return await member_state(self.cluster.clients, member, client_url(member), at_revision)

    def log_path(self, member: MemberName) -> Path:
        return MemberFiles(self._folder / member).log

    def trace_path(self, member: MemberName) -> Path | None:
        return MemberFiles(self._folder / member).trace if self.cluster.tracing else None

    def data_path(self, member: MemberName) -> Path:
        return MemberFiles(self._folder / member).data

    def version_text(self) -> str:
        return f"{member_version_text()} (simulated)"

    def versions(self) -> Mapping[str, str]:
        return {"system": "simulated", "python": python_version()}

    def open_clients(self, timeout_ms: int) -> AbstractAsyncContextManager[Client]:
        return _clients(SimulatedClient(self.cluster.clients, timeout_ms))

    # --- what it suffers -------------------------------------------------------------------

    async def kill(self, member: MemberName) -> None:
        self.cluster.kill(member)

    async def restart(self, member: MemberName) -> None:
        self.cluster.start(member)

    async def pause(self, member: MemberName) -> None:
        self.cluster.pause(member)

    async def resume(self, member: MemberName) -> None:
        self.cluster.resume(member)

    async def set_link(self, source: MemberName, target: MemberName, state: LinkState) -> None:
        self.cluster.network.set_link(source, target, state)

    async def lose_power(self, members: Sequence[MemberName]) -> None:
        """Mostly while a disk works: what it has under way is what a power loss can harm."""
        running = [name for name in members if self.cluster.members[name].runs]
        if running and self._chance.random() * 100 < POWER_LOST_AT_WORK_PERCENT:
            await self.cluster.disk_at_work(running, POWER_LOST_LATER_S)
        self.cluster.lose_power(members)

    async def jump_clock(self, member: MemberName, ahead_ms: int) -> None:
        self.cluster.coverage.sometimes("a wall clock went back", ahead_ms < 0)
        self.cluster.members[member].clock.jump(ahead_ms * 1_000_000)

    async def drift_clock(self, member: MemberName, ppm: int) -> None:
        self.cluster.coverage.sometimes("a clock drifted", ppm != 0)
        self.cluster.members[member].clock.drift(ppm)

    async def set_disk(self, member: MemberName, state: DiskState) -> None:
        self.cluster.members[member].disk.state = state

    async def rot(self, member: MemberName) -> str:
        return self.cluster.members[member].disk.rot()

    async def set_failpoint(self, member: MemberName, failpoint: str, term: str) -> None:
        server = self.cluster.members[member].server
        if server is None:
            raise FaultError(f"{member} does not run: it cannot be told of a failpoint")
        try:
            server.failpoints.set(failpoint, term)
        except ValueError as problem:
            raise FaultError(str(problem)) from problem

    async def clear_failpoint(self, member: MemberName, failpoint: str) -> None:
        server = self.cluster.members[member].server
        if server is not None:
            server.failpoints.clear(failpoint)

    async def wait_until_paused_at(self, member: MemberName, failpoint: str) -> None:
        await self.cluster.stands_at(member, failpoint)

    @property
    def rough(self) -> bool:
        return self.cluster.rough

    def calm(self) -> None:
        self.cluster.calm()

    async def revive(self, member: MemberName) -> None:
        if self.cluster.members[member].stopped_why:
            self.cluster.start(member)


@asynccontextmanager
async def _clients(client: SimulatedClient) -> AsyncIterator[Client]:
    yield client
