"""A cluster whose members are processes of an etcd-like store on this machine."""

from __future__ import annotations

import asyncio
import logging
import shutil
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from splitbrain.harness.clients import maintenance
from splitbrain.harness.clients.json_messages import Status
from splitbrain.harness.clients.member_state import member_state, status
from splitbrain.harness.clients.tls import ClientTls
from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.systems.disks.disk_faults import DiskFaults
from splitbrain.harness.systems.disks.member_disks import MemberDisks
from splitbrain.harness.systems.etcd_like.auth_and_quota_requests import Administration
from splitbrain.harness.systems.etcd_like.cluster_settings import ClusterSettings
from splitbrain.harness.systems.etcd_like.cluster_tls import Encryption
from splitbrain.harness.systems.etcd_like.member_addresses import Place
from splitbrain.harness.systems.etcd_like.membership import ProcessMembership
from splitbrain.harness.systems.etcd_like.next_start import ChangesPrograms, NextStarts
from splitbrain.harness.systems.networks.namespaces import Namespaces
from splitbrain.harness.systems.networks.network import NAMESPACES, Loopback, MemberNetwork
from splitbrain.harness.systems.networks.new_connections import NewConnections
from splitbrain.harness.systems.processes.crash import PORT_LOST, Crash, CrashLog, log_bytes
from splitbrain.harness.systems.processes.log_counts import LogCounts
from splitbrain.harness.systems.processes.member_files import MemberFiles
from splitbrain.harness.systems.processes.member_logs import LogFaults, MemberLogs
from splitbrain.harness.systems.processes.member_process import MemberProcess, log_tail, spawn
from splitbrain.harness.systems.system import Address
from splitbrain.harness.systems.tls.tls_probe import TlsProbe
from splitbrain.histories.member_state import MemberState
from splitbrain.nemesis.capabilities import LinkState
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import CLIENTS, DiskArea, MemberName, OperatorDo
from splitbrain.nemesis.moment import MomentEvent

START_TRIES_MAX = 3
CLIENT, PEER = "client", "peer"
"""The names of a member's two ports: for clients and for peers."""
_POLL_S = 0.02
log = logging.getLogger("splitbrain.systems")


class ProcessCluster(
    ProcessMembership, Administration, ChangesPrograms, DiskFaults, LogFaults
):
    """Starts and stops member processes, injects faults into them, and reads their state.

    A subclass defines how one member is started. The class implements `System`, `Killable`,
    `Pausable`, `FaultyLinks`, `Traceable`, `Powered`, `Disked`, `Corruptible`, `Maintainable`,
    `Upgradable`, `Authenticates`, `Limitable`, `LogBlockable`, `HasMoments`, `Resizable`,
    `Transferable` and `CrashReporter`.

    All methods must be called in one asyncio loop. The members are killed when the thread of
    that loop ends.
    """

    name: str
    ends_in_order = True
    """Whether `stop` sends SIGTERM first; otherwise it sends SIGKILL at once."""
    areas: Mapping[DiskArea, tuple[str, ...]] = {}
    """Maps an area of the disk to patterns of its files below the data folder. Empty: the files of
    the areas are not known, and each area is the whole data folder."""

    log_events: Mapping[MomentEvent, str] = {}
    """Maps an event, such as an election, to a regular expression of the lines in a member's log
    that show it."""

    def __init__(self, settings: ClusterSettings) -> None:
        super().__init__()
        self.settings = settings
        self.members: Sequence[MemberName] = settings.members
        self._network = self._make_network()
        self._places: dict[MemberName, Place] = {}
        self._processes: dict[MemberName, MemberProcess] = {}
        self._paused: dict[MemberName, None] = {}
        self._crashes = CrashLog()
        self._names: dict[int, MemberName] = {}
        """Maps a member's id to its name, as the answers of the members show them."""
        self._session: aiohttp.ClientSession | None = None
        self.encryption = Encryption(settings)
        self._disks = MemberDisks(self.areas, settings.seed)
        self._logs = MemberLogs()
        self._next_starts = NextStarts()
        self._connections = NewConnections()
        self._log_counts = {
            name: LogCounts(self.log_path(name), self.log_events) for name in settings.members
        }

    # --- defined by the store --------------------------------------------------------

    @abstractmethod
    def command(self, place: Place, initial_cluster: str) -> Sequence[str]:
        """Return the command line of the member at `place`.

        `initial_cluster` is the value of the flag of that name. Raises SystemFailed if the program
        does not exist.
        """

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """Return the environment of each member's process."""

    @abstractmethod
    def versions(self) -> Mapping[str, str]: ...

    def trace_path(self, member: MemberName) -> Path | None:
        return None

    # --- start and stop --------------------------------------------------------------

    async def start(self) -> None:
        """Start every member, and wait until all of them report the same leader.

        Raises SystemFailed.
        """
        if self._processes:
            raise SystemFailed(f"the cluster {self.name} is already started; stop it first")
        try:
            for tries_left in reversed(range(START_TRIES_MAX)):
                await self._open()
                try:
                    await self._wait_for_leader()
                    return
                except _PortLost as lost:
                    if not tries_left:
                        raise SystemFailed(str(lost)) from lost
                    log.warning("another program took a port of a member; the cluster starts again")
                    await self.stop()
                    self._clear_data()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End every process. The method may be called in any state and repeatedly."""
        processes = list(self._processes.values())
        grace_ms = self.settings.stop_grace_ms if self.ends_in_order else 0
        try:
            # The harness closes its connections first, because etcd waits for open ones on SIGTERM.
            session, self._session = self._session, None
            if session is not None:
                await session.close()
            await asyncio.gather(*(process.terminate(grace_ms) for process in processes))
        finally:
            for process in processes:
                process.kill()
            self._processes.clear()
            self._paused.clear()
            self._logs.close()
            await self._network.stop()
            await self._disks.unmount()

    async def _open(self) -> None:
        self._crashes.clear()
        await self._network.start(self.members)
        if self.settings.piped_logs:
            self._logs.open((name, self.log_path(name)) for name in self.members)
        for name in self.members:
            self._places[name] = await self._place(name)
        self.encryption.renew(
            one for place in self._places.values() for one in (place.peer_url, place.advertised_url)
        )
        self._session = self.encryption.session()
        for name in self.members:
            if self.settings.mounted_disks:
                await self._disks.mount(name, self._places[name].data)
            self._spawn(name)
        await self._update_owners()

    @property
    def tls(self) -> ClientTls | None:
        """Return the certificates of the cluster's clients, or None if the members have no TLS."""
        return self.encryption.client

    async def probe_tls(self) -> Sequence[TlsProbe]:
        """Test which connections the members accept and refuse. Returns () without TLS."""
        return await self.encryption.probe(self._places.values())

    async def _place(self, name: MemberName) -> Place:
        ends = await self._network.endpoints(name, (CLIENT, PEER))
        scheme = self.encryption.scheme
        return Place(
            name=name,
            client_url=f"{scheme}://{ends.host}:{ends.ports[CLIENT]}",
            peer_url=f"{scheme}://{ends.host}:{ends.ports[PEER]}",
            advertised_url=f"{scheme}://{ends.host}:{ends.dialled[PEER]}",
            folder=self.settings.folder / name,
            namespace=ends.namespace,
        )

    def _make_network(self) -> MemberNetwork:
        settings = self.settings
        if settings.network == NAMESPACES:
            return Namespaces(seed=settings.seed, log=settings.folder / "slow_links.log")
        return Loopback(
            seed=settings.seed, proxied=(PEER,) if settings.proxied else (),
            log=settings.folder / "proxies.log",
        )

    def _spawn(self, name: MemberName, place: Place | None = None) -> None:
        place = place or self._places[name]
        place.folder.mkdir(parents=True, exist_ok=True)
        initial_cluster = ",".join(
            f"{one.name}={one.advertised_url}" for one in self._places.values()
            if one.name not in self._vacant
        )
        settings = self.settings
        command = (
            *self.command(place, initial_cluster),
            *settings.extra_args,
            *settings.member_args.get(name, ()),
            *self._next_starts.flags(name),
        )
        env = {
            **self.environment(),
            **settings.extra_env,
            **settings.member_env.get(name, {}),
        }
        log_path = self.log_path(name)
        log_begin = log_bytes(log_path)
        process = self._processes[name] = spawn(
            command, env, log_path, namespace=place.namespace, output=self._logs.output(name)
        )
        self._crashes.add_process(process, log_begin)

    async def _update_owners(self) -> None:
        """Tell the network which processes the running members consist of."""
        running = {name: p.pid for name, p in self._processes.items() if p.alive()}
        await self._network.set_owners(running)

    def _clear_data(self) -> None:
        for place in self._places.values():
            shutil.rmtree(place.data, ignore_errors=True)

    async def _wait_for_leader(self) -> None:
        """Wait until every member answers, and all report the same leader."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.settings.start_timeout_ms / 1000
        while True:
            self._check_all_run()
            statuses = await self._statuses()
            leaders = {one.leader for one in statuses.values()}
            if len(statuses) == len(self.members) and len(leaders) == 1 and leaders != {0}:
                return
            if loop.time() > deadline:
                raise SystemFailed(
                    f"{self.name}: no leader that all members know within "
                    f"{self.settings.start_timeout_ms} ms; {', '.join(statuses) or 'none'} of "
                    f"{', '.join(self.members)} answered.\n{self._log_tails()}"
                )
            await asyncio.sleep(_POLL_S)

    def _check_all_run(self) -> None:
        for name, process in self._processes.items():
            if process.exit_code is None:
                continue
            self._logs.drain(name)
            tail = log_tail(self.log_path(name))
            port_lost = any(words in tail.lower() for words in PORT_LOST)
            kind = _PortLost if port_lost else SystemFailed
            raise kind(
                f"{self.name}: member {name} ended with exit code {process.exit_code} while the "
                f"cluster started; its log ({self.log_path(name)}) ends:\n{tail}"
            )

    def _log_tails(self) -> str:
        return "\n".join(
            f"{self.log_path(name)} ends:\n{log_tail(self.log_path(name))}"
            for name in self.members
        )

    # --- faults ----------------------------------------------------------------------

    async def kill(self, member: MemberName) -> None:
        """Send SIGKILL to the member's process, also if it is paused, and wait for its end."""
        self._paused.pop(member, None)
        self._notice_crash(member)
        if (process := self._process(member)) is not None:
            await process.kill_and_wait()

    async def restart(self, member: MemberName) -> None:
        """Start the member on its data, unless it runs. Returns when its process runs."""
        process = self._process(member)
        if process is not None and process.kill_sent:
            await process.kill_and_wait()  # a cancelled call of `kill` may not have waited
        self._notice_crash(member)
        if not self.alive(member) and member not in self._vacant:
            self._spawn(member)
        await self._update_owners()

    async def pause(self, member: MemberName) -> None:
        """Send SIGSTOP to the member, and wait until it has stopped.

        Does nothing if it does not run.
        """
        if (process := self._process(member)) is not None and process.alive():
            self._paused[member] = None
            await process.pause()

    def is_stopped(self, member: MemberName) -> bool:
        """Return whether the process is stopped, but not by `pause`: for example by a failpoint."""
        process = self._process(member)
        stopped = process is not None and process.alive() and process.is_stopped()
        return stopped and member not in self._paused

    async def resume(self, member: MemberName) -> None:
        """Send SIGCONT to the member. Does nothing if it does not run."""
        if (process := self._process(member)) is not None:
            process.resume()
        self._paused.pop(member, None)

    async def set_link(self, source: MemberName, target: MemberName, state: LinkState) -> None:
        """Set the state of the link from `source` to `target`; see `networks/`.

        The state is in force when this method returns. With network namespaces, source or target
        can be `clients`, too.
        """
        for name in (source, target):
            if name != CLIENTS:
                self._place_of(name)
        try:
            await self._network.set_link(source, target, state)
        except SystemFailed as problem:
            why = f"the links of {self.name} cannot be changed: {problem}"
            raise SystemFailed(why) from problem

    def link_effects(self, source: MemberName, target: MemberName) -> int:
        """Return how many packets or chunks the faults of the link have changed so far."""
        return self._network.link_effects(source, target)

    async def maintain(self, member: MemberName, action: OperatorDo) -> None:
        """Execute an operator's action at the member. Raises SystemFailed if it is refused."""
        session, url = self._requests(), self._place_of(member).client_url
        if action == "defragment":
            await maintenance.defragment(session, url)
        elif action == "snapshot":
            await maintenance.read_snapshot(session, url)
        elif action == "move_leader":
            leader, ids = await self.leader(), {name: one for one, name in self._names.items()}
            if leader is None:
                raise SystemFailed(f"{self.name} has no leader that could hand over to {member}")
            leader_url = self._place_of(leader).client_url
            await maintenance.transfer_leadership(session, leader_url, ids[member])

    async def serves(self, member: MemberName) -> bool:
        found = await self._status(member) if self._can_answer(member) else None
        return found is not None and found.leader != 0

    # --- state -----------------------------------------------------------------------

    def address(self, member: MemberName) -> Address:
        place = self._place_of(member)
        return Address(member, place.client_url, place.advertised_url)

    def alive(self, member: MemberName) -> bool:
        process = self._process(member)
        return process is not None and process.alive()

    def ended_by_themselves(self) -> Sequence[Crash]:
        """Return a crash for each process that ended although the harness did not kill it.

        The crashes are in the order of detection. A crash is also reported if the end of a fault
        has restarted the member since.
        """
        for name in self._processes:
            self._notice_crash(name)
        return self._crashes.all()

    def _notice_crash(self, member: MemberName) -> None:
        if (process := self._process(member)) is not None:
            if not process.alive():
                self._logs.drain(member)
            self._crashes.notice(member, process, self.log_path(member))

    def occurrences(self, event: MomentEvent) -> int | None:
        """Return how often `event` has happened, by the members' logs; None if unknown.

        New connections are counted in the kernel's table of connections.
        """
        if event == "connection":
            ports = (urlsplit(one.client_url).port for one in self._places.values())
            return self._connections.count({port for port in ports if port is not None})
        if event not in self.log_events:
            return None
        return sum(
            self._log_counts[name].count(event) for name in self.members
        )

    def pid(self, member: MemberName) -> int | None:
        """Return the process id of a member, or None if it does not run."""
        process = self._process(member)
        return process.pid if process is not None and process.alive() else None

    async def leader(self) -> MemberName | None:
        """Return the leader of the highest term that a member reports at present.

        Returns None if no member reports a leader. Also returns None if the reported leader is
        paused or does not run, because its followers may not have noticed this yet.
        """
        statuses = [one for one in (await self._statuses()).values() if one.leader]
        if not statuses:
            return None
        newest = max(statuses, key=lambda one: one.raft_term)
        name = self._names.get(newest.leader)
        return name if name is not None and self._can_answer(name) else None

    async def state(self, member: MemberName, at_revision: int | None = None) -> MemberState:
        """Read the member's status, its change log, and its HashKV at `at_revision`.

        If the member does not answer, the result contains an `error`.
        """
        try:
            place = self._place_of(member)
            return await member_state(
                self._require_session(), member, place.client_url, place.peer_url, at_revision
            )
        except (aiohttp.ClientError, OSError, TimeoutError, SystemFailed) as problem:
            return MemberState(member=member, error=f"{type(problem).__name__}: {problem}")

    def log_path(self, member: MemberName) -> Path:
        return MemberFiles(self.settings.folder / member).log

    def data_path(self, member: MemberName) -> Path:
        return MemberFiles(self.settings.folder / member).data

    def files(self, member: MemberName, area: DiskArea, pattern: str = "") -> Sequence[Path]:
        """Return the existing files of the member in `area`, or those that match `pattern`.

        A `pattern` is compared with paths in the data folder, in any area. Raises FaultError if the
        system has no such area.
        """
        patterns = (pattern,) if pattern else self.areas.get(area, () if self.areas else ("**/*",))
        if not patterns and area:
            raise FaultError(
                f"{self.name} has no area {area} of its disk; it has {', '.join(self.areas)}"
            )
        data = self.data_path(member)
        found = {path for one in patterns or ("**/*",) for path in data.glob(one)}
        return sorted(path for path in found if path.is_file())

    async def _statuses(self) -> dict[MemberName, Status]:
        """Ask all members for their status at the same time.

        Returns the status of each member that answers within a second.
        """
        names = [name for name in self.members if self._can_answer(name)]
        answers = await asyncio.gather(*(self._status(name) for name in names))
        found = {name: one for name, one in zip(names, answers, strict=True) if one is not None}
        for name, one in found.items():
            self._names[one.header.member_id] = name
        return found

    async def _status(self, name: MemberName) -> Status | None:
        try:
            return await status(self._require_session(), self._places[name].client_url)
        except (aiohttp.ClientError, OSError, TimeoutError, SystemFailed):
            return None

    def _can_answer(self, name: MemberName) -> bool:
        return self.alive(name) and name not in self._paused

    def _require_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise SystemFailed(f"the cluster {self.name} is not running; start it first")
        return self._session

    def _process(self, member: MemberName) -> MemberProcess | None:
        self._place_of(member)
        return self._processes.get(member)

    def _place_of(self, member: MemberName) -> Place:
        if member not in self.members:
            raise SystemFailed(
                f"no member {member!r} in this cluster: it has {', '.join(self.members)}"
            )
        if member not in self._places:
            raise SystemFailed(
                f"the cluster {self.name} has not been started, so {member} has no address"
            )
        return self._places[member]


class _PortLost(SystemFailed):
    """Raised when a member cannot bind a port, because another program has taken it."""
