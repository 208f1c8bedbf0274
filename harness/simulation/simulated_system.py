"""The simulated cluster as a system under test, with all faults that a schedule can contain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from platform import python_version

from splitbrain.harness.clients.session import EtcdClient
from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.simulation.cluster import SimulatedCluster, client_url, peer_url
from splitbrain.harness.simulation.member_state import member_state
from splitbrain.harness.simulation.membership import SimulatedMembership
from splitbrain.harness.simulation.simulated_client import SimulatedClient
from splitbrain.harness.systems.etcd_like.python_node import member_version_text
from splitbrain.harness.systems.processes.member_files import MemberFiles
from splitbrain.harness.systems.system import Address
from splitbrain.histories.member_state import MemberState
from splitbrain.histories.random_stream import stream
from splitbrain.nemesis.capabilities import LinkState
from splitbrain.nemesis.disk_fault import DiskArea, DiskCrash, DiskState
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault_target import MemberName
from splitbrain.node.failpoint import delay_s

START_TIMEOUT_S = 30.0
POWER_LOST_DURING_SYNC_PERCENT = 70
SYNC_WAIT_S_MAX = 0.1
"""A power loss that waits until a disk begins a sync waits at most this long, in virtual time."""
_POLL_S = 0.02


class SimulatedSystem(SimulatedMembership):
    """The system under test whose members run in `cluster`.

    The system supports all faults, by the protocols Killable, Pausable, Partitionable, Powered,
    Clocked, Disked, CrashesAtDiskCalls, HasFailpoints, Resizable, JointlyResizable and
    Transferable. The method `stop` writes the members' logs and traces.
    """

    name = "simulated"
    virtual_time = True
    in_flight_s = 3.0
    """The longest time in virtual time for which a frame can be in flight (see
    `splitbrain.harness.simulation.network`)."""

    def __init__(self, cluster: SimulatedCluster, folder: Path) -> None:
        super().__init__(cluster)
        self._folder = folder
        self._stopped = False
        self._random = stream(cluster.seed, "power")
        self._delays_s: dict[tuple[MemberName, str], float] = {}
        """Maps a member and a failpoint to the delay of the member at that failpoint, in
        seconds."""

    @property
    def members(self) -> Sequence[MemberName]:
        return tuple(self.cluster.members)

    async def start(self) -> None:
        for member in self.members:
            self.cluster.start(member)
        # Under some conditions no leader is elected, and then there is nothing to test. So the run
        # continues under ideal conditions if the first wait ends without a leader.
        if not await self._wait_for_leader() and self.has_adverse_conditions:
            self.end_adverse_conditions()
            await self._wait_for_leader()
        if not self._agree_on_leader():
            raise SystemFailed(
                f"the members did not agree on a leader within {START_TIMEOUT_S:g} s of virtual "
                f"time; {self._ended_members()}"
            )

    async def _wait_for_leader(self) -> bool:
        """Return whether the members agree on a leader within `START_TIMEOUT_S`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + START_TIMEOUT_S
        while not self._agree_on_leader():
            if loop.time() > deadline:
                return False
            await asyncio.sleep(_POLL_S)
        return True

    def _agree_on_leader(self) -> bool:
        leaders = {
            member.server.raft.leader if member.server is not None else 0
            for member in self.cluster.members.values()
        }
        return len(leaders) == 1 and leaders != {0}

    def _ended_members(self) -> str:
        ended = [
            f"{one.name}: {one.stop_reason}"
            for one in self.cluster.members.values() if not one.alive
        ]
        return "; ".join(ended) or "all members run"

    async def stop(self) -> None:
        """End every process, and write the members' logs and traces.

        A second call has no effect.
        """
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

    def open_clients(self, timeout_ms: int) -> AbstractAsyncContextManager[EtcdClient]:
        client = SimulatedClient(self.cluster.clients, self.cluster.requests, timeout_ms)
        return _clients(client)

    # --- faults ----------------------------------------------------------------------------

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
        """Cut the power of `members`, usually just after one of their disks has begun a sync.

        A power loss at that moment does most harm, because only data that is not durable yet can be
        lost.
        """
        running = [name for name in members if self.cluster.members[name].runs]
        if running and self._random.random() * 100 < POWER_LOST_DURING_SYNC_PERCENT:
            await self.cluster.wait_for_sync(running, SYNC_WAIT_S_MAX)
        self.cluster.lose_power(members)

    async def jump_clock(self, member: MemberName, ahead_ms: int) -> None:
        self.cluster.coverage.sometimes("a wall clock went back", ahead_ms < 0)
        self.cluster.members[member].clock.jump(ahead_ms * 1_000_000)

    async def drift_clock(self, member: MemberName, ppm: int) -> None:
        self.cluster.coverage.sometimes("a clock drifted", ppm != 0)
        self.cluster.members[member].clock.drift(ppm)
        self.cluster.health.disturb(member)

    async def set_disk(self, member: MemberName, state: DiskState) -> None:
        self.cluster.members[member].disk.state = state
        self.cluster.health.disturb(member)

    async def rot(self, member: MemberName, area: DiskArea, bits: int) -> str:
        return self.cluster.members[member].disk.rot(area, bits)

    async def lose_sectors(self, member: MemberName, area: DiskArea, sectors: int) -> str:
        return self.cluster.members[member].disk.lose_sectors(area, sectors)

    async def set_failpoint(self, member: MemberName, failpoint: str, term: str) -> None:
        server = self.cluster.members[member].server
        if server is None:
            raise FaultError(f"{member} does not run: a failpoint cannot be set")
        try:
            server.failpoints.set(failpoint, term)
        except ValueError as problem:
            raise FaultError(str(problem)) from problem
        self._delays_s[member, failpoint] = delay_s(term)

    async def clear_failpoint(self, member: MemberName, failpoint: str) -> None:
        server = self.cluster.members[member].server
        if server is not None:
            server.failpoints.clear(failpoint)
        # The member may still be waiting at the failpoint, with the old delay.
        self.cluster.health.disturb(member, self._delays_s.pop((member, failpoint), 0.0))

    async def wait_until_paused_at(self, member: MemberName, failpoint: str) -> None:
        await self.cluster.wait_until_paused_at(member, failpoint)

    async def crash_at_disk_call(self, member: MemberName, crash: DiskCrash) -> None:
        await self.cluster.wait_until_crashed(member, crash)

    def link_effects(self, source: MemberName, target: MemberName) -> int:
        return self.cluster.network.link(source, target).effects

    def disk_effects(self, member: MemberName) -> int:
        return self.cluster.members[member].disk.effects

    @property
    def has_adverse_conditions(self) -> bool:
        return self.cluster.has_adverse_conditions

    def end_adverse_conditions(self) -> None:
        self.cluster.end_adverse_conditions()

    async def revive(self, member: MemberName) -> None:
        if self.cluster.members[member].stop_reason:
            self.cluster.start(member)


@asynccontextmanager
async def _clients(client: SimulatedClient) -> AsyncIterator[EtcdClient]:
    yield client
