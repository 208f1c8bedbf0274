"""The machines of a simulated cluster, and the members' processes on them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Mapping, Sequence

from splitbrain.harness.schedule.network_and_disk_conditions import IDEAL_DISK, IDEAL_NETWORK
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.simulation.buggify import Buggify
from splitbrain.harness.simulation.client_network import ClientNetwork
from splitbrain.harness.simulation.clock import MachineClock
from splitbrain.harness.simulation.coverage import Coverage
from splitbrain.harness.simulation.crash_point import CrashPoint
from splitbrain.harness.simulation.health import Health
from splitbrain.harness.simulation.machine_disk import MachineDisk
from splitbrain.harness.simulation.member import Member
from splitbrain.harness.simulation.network import Network
from splitbrain.harness.simulation.raft_invariants.election_causes import ElectionMonitor
from splitbrain.harness.simulation.raft_invariants.lease_ends import LeaseEndMonitor
from splitbrain.harness.simulation.raft_invariants.monitor import InvariantMonitor
from splitbrain.harness.simulation.raft_invariants.reads import ReadMonitor
from splitbrain.harness.simulation.raft_invariants.request_liveness import RequestMonitor
from splitbrain.harness.simulation.simulated_process import Process
from splitbrain.harness.simulation.step_limit import StepLimit
from splitbrain.harness.simulation.virtual_loop import VirtualLoop
from splitbrain.harness.simulation.world import SimulatedWorld
from splitbrain.histories.random_stream import stream
from splitbrain.nemesis.disk_fault import DiskCrash, LostSectors
from splitbrain.node.config import Config, checked_config
from splitbrain.node.server import Server

CLIENT_PORT = 2379
PEER_PORT = 2380


class SimulatedCluster:
    """The machines of one run, which start, pause, kill and stop the members' processes.

    The schedule's seed determines all random draws.
    """

    def __init__(
        self,
        loop: VirtualLoop,
        schedule: Schedule,
        settings: Mapping[str, object],
    ) -> None:
        seed, members = schedule.seed, schedule.members
        self.loop = loop
        self._schedule = schedule
        self.seed = seed
        self.settings = dict(settings)
        self.tracing = schedule.options.trace
        self.stopping = False
        self.coverage = Coverage(loop.time)
        self.buggify = Buggify(seed, self._rare_condition, on=schedule.buggify)
        self.network = Network(
            loop, lambda a, b: stream(seed, "link", a, b), schedule.network,
            self.coverage.reached,
        )
        self.clients = ClientNetwork(loop, self.network)
        self.members: dict[str, Member] = {}
        self.invariants = InvariantMonitor(
            members=self.members,
            loop=loop,
            coverage=self.coverage,
            count=len(members),
            deposed_longer_by=schedule.deposed_longer_by,
        )
        loop.observe = self.invariants
        self._pause_waiters: dict[tuple[str, str], list[asyncio.Future[None]]] = {}
        """Maps a member and a failpoint to the futures that are completed when the member pauses
        there."""
        for name in members:
            machine = self.network.add_machine(name, peer_url(name), other_peer_url(name))
            self.clients.add(client_url(name), machine)
            self.members[name] = Member(name, MachineClock(loop), self._new_disk(name, schedule))
        self._observe_liveness()
        self.step_limit = StepLimit(
            loop=loop, violated=self.invariants.violated, pause=self.pause
        )
        loop.judge_steps = self.step_limit

    def _rare_condition(self, point: str) -> None:
        self.coverage.reached(f"buggify: {point}")
        self.health.rare_condition(point)

    def _observe_liveness(self) -> None:
        loop, members, violated = self.loop, self.members, self.invariants.violated
        config = self.config(next(iter(members)))
        self.health = Health(loop, members, self.network)
        self.elections = ElectionMonitor(
            loop=loop, members=members, health=self.health, violated=violated,
            tick_ns=config.heartbeat_ms * 1_000_000,
        )
        self.reads = ReadMonitor(
            loop=loop, health=self.health, violated=violated,
            last_committed=self.invariants.last_committed,
        )
        self.lease_ends = LeaseEndMonitor(
            tick_s=config.heartbeat_ms / 1000, violated=violated
        )
        self.requests = RequestMonitor(
            loop=loop, members=members, health=self.health, elections=self.elections,
            network=self.network, violated=violated, election_ms=config.election_ms,
        )

    def _new_disk(self, name: str, schedule: Schedule, number: int = 1) -> MachineDisk:
        """Return an empty disk for the machine `name`. `number` counts its disks, from 1."""
        random = stream(schedule.seed, "disk", name, *([number] if number > 1 else []))
        disk = MachineDisk(self.loop, random, self.coverage.reached, schedule.disk)
        disk.remembers = any(isinstance(one.fault, LostSectors) for one in schedule.faults)
        disk.synced = functools.partial(self.invariants.synced, name)
        disk.crash = functools.partial(self._crash_at, name)
        return disk

    def replace_disk(self, name: str) -> None:
        """Give the machine an empty disk. The next process on it joins the running cluster.

        The member must be down. It must be added to the cluster again before its next process
        starts.
        """
        member = self.members[name]
        assert not member.alive, f"{name} runs"
        member.disks += 1
        disk = self._new_disk(name, self._schedule, member.disks)
        disk.crash_points = member.disk.crash_points
        member.disk = disk

    def config(self, name: str) -> Config:
        """Return the configuration of the member's process."""
        return checked_config(Config(
            name=name,
            data_dir=name,
            initial_cluster=tuple((one, (peer_url(one),)) for one in sorted(self.members)),
            initial_cluster_state="existing" if self.members[name].disks > 1 else "new",
            listen_client_urls=(client_url(name),),
            advertise_client_urls=(client_url(name),),
            listen_peer_urls=(peer_url(name),),
            tracing=self.tracing,
            **self.settings,  # type: ignore[arg-type]
        ))

    @property
    def has_adverse_conditions(self) -> bool:
        """Return whether network, disks or members behave worse than ideal ones.

        Under such adverse conditions the cluster is not required to recover from faults.
        """
        return (
            self.buggify.on
            or self.network.conditions != IDEAL_NETWORK
            or self.invariants.deposed_leaders.longer_by > 0
            or any(one.disk.conditions != IDEAL_DISK for one in self.members.values())
        )

    def end_adverse_conditions(self) -> None:
        """Make network, disks and members ideal, for the end of the run."""
        self.buggify.on = False
        self.network.make_ideal()
        self.invariants.deposed_leaders.longer_by = 0
        for member in self.members.values():
            member.disk.conditions = IDEAL_DISK
        self.health.rare_conditions_end()

    # --- processes -------------------------------------------------------------------------

    def start(self, name: str) -> None:
        """Start a process of the member.

        Does nothing if the member has a process, or was removed from the cluster.
        """
        member = self.members[name]
        if member.alive or member.vacant:
            return
        self.network.machine(name).powered = True
        member.lives += 1
        member.stop_reason = ""
        process = Process(name, member.lives)
        member.process = process
        world = SimulatedWorld(
            loop=self.loop,
            process=process,
            machine=member.clock,
            disk=member.disk,
            network=self.network,
            clients=self.clients,
            random=stream(self.seed, "member", name, member.lives),
            on_stop=self._stopped_itself,
            on_pause=self._paused_itself,
            buggify=self.buggify.fires,
        )
        world.trace_lines, world.log_lines = member.trace_lines, member.log_lines
        member.world, member.server = world, None
        self.loop.soon(process, self._begin, member, world)

    def _begin(self, member: Member, world: SimulatedWorld) -> None:
        server = Server(world, self.config(member.name))
        self.loop.create_task(self._serve(member, world, server), name="start")

    async def _serve(self, member: Member, world: SimulatedWorld, server: Server) -> None:
        try:
            await server.start()
        except Exception as problem:
            world.stop(1, f"{type(problem).__name__}: {problem}")
            return
        member.server = server
        self.invariants.began(member)
        self.health.disturb(member.name)
        self.elections.began(member)
        self.reads.began(member)
        self.lease_ends.began(member)
        self.requests.began(member)

    def _stopped_itself(self, process: Process, code: int, why: str) -> None:
        """Record that a process has stopped with exit code `code` for the reason `why`.

        The process has ended itself, or has crashed at a failpoint.
        """
        member = self.members[process.name]
        if member.process is process and not process.ended:
            member.stop_reason = why
            self.coverage.sometimes("a member stopped for its disk", "DiskError" in why)
            if code > 0:
                self.invariants.stopped(process.name, why)
            self.kill(process.name)

    async def wait_until_paused_at(self, name: str, failpoint: str) -> None:
        """Wait until the member has reached `failpoint` and is paused there."""
        future: asyncio.Future[None] = self.loop.create_future()
        waiters = self._pause_waiters.setdefault((name, failpoint), [])
        waiters.append(future)
        try:
            await future
        finally:
            waiters.remove(future)

    def _paused_itself(self, process: Process, failpoint: str) -> None:
        """Record that a process has paused at a failpoint."""
        self.coverage.reached("a member was paused at a step")
        self.elections.interrupted(self.members[process.name])
        for future in self._pause_waiters.get((process.name, failpoint), ()):
            if not future.done():
                future.set_result(None)

    def kill(self, name: str) -> None:
        """End the member's process as SIGKILL does. The page cache keeps the written data."""
        member = self.members[name]
        if member.process is not None and not member.process.ended:
            if not self.stopping:
                self.invariants.down(member)
                self.elections.interrupted(member)
            member.server = None
            member.process.end()
            self.network.process_ended(name)

    async def wait_for_sync(self, names: Sequence[str], limit_s: float) -> None:
        """Wait until the disk of one of the members begins a sync, at most `limit_s` seconds."""
        future: asyncio.Future[None] = self.loop.create_future()
        for name in names:
            self.members[name].disk.awaited.append(future)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await future

    async def wait_until_crashed(self, name: str, crash: DiskCrash) -> None:
        """Wait until the member has crashed at the disk operation that `crash` describes.

        If the call is cancelled, the member does not crash.
        """
        disk, reached = self.members[name].disk, self.loop.create_future()
        point = CrashPoint(crash, reached)
        disk.crash_points.append(point)
        try:
            await reached
        finally:
            if point in disk.crash_points:
                disk.crash_points.remove(point)

    def _crash_at(self, name: str, point: CrashPoint) -> None:
        """End the member's process, which has just reached `point`."""
        self.members[name].disk.crash_points.remove(point)
        # What happens after the crash belongs to the harness. Callbacks of the ended process would
        # never run.
        process, self.loop.current = self.loop.current, None
        if point.loses_power:
            self.lose_power((name,))
        else:
            self.kill(name)
        if not point.reached.done():
            point.reached.set_result(None)
        self.loop.current = process

    def lose_power(self, names: Sequence[str]) -> None:
        """Cut the power of the machines of `names` at the same moment.

        The processes, the page caches, and the frames that were not sent yet are lost.
        """
        self.coverage.sometimes("power was lost on several machines at once", len(names) > 1)
        for name in names:
            member = self.members[name]
            if member.alive:
                self.invariants.down(member)
                self.elections.interrupted(member)
            self.network.power_lost(name)
            if member.process is not None:
                member.server = None
                member.process.end()
            member.disk.lose_power()
            member.clock.reboot()

    def pause(self, name: str) -> None:
        member = self.members[name]
        if member.process is not None and not member.process.ended:
            self.elections.interrupted(member)
            member.process.pause()

    def resume(self, name: str) -> None:
        member = self.members[name]
        if member.process is not None and member.process.paused:
            waiting = bool(member.process.backlog)
            self.coverage.sometimes("a paused member found work waiting", waiting)
            self.invariants.resumed(member)
            self.health.disturb(name)
            self.loop.resume(member.process)

    def stop(self) -> None:
        self.stopping = True
        self.loop.observe = None
        for name in self.members:
            self.kill(name)


def client_url(name: str) -> str:
    return f"http://{name}:{CLIENT_PORT}"


def peer_url(name: str) -> str:
    return f"http://{name}:{PEER_PORT}"


def other_peer_url(name: str) -> str:
    """Return a second peer URL that leads to the same listener as `peer_url`.

    An update of the member can change its peer URL to this one and back.
    """
    return f"http://{name}:{PEER_PORT + 1}"
