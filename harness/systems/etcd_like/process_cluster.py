"""A cluster whose members are processes of an etcd-like store on this machine."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from splitbrain.harness.clients import maintenance
from splitbrain.harness.clients.json_client import GatewayClient
from splitbrain.harness.clients.json_messages import Status
from splitbrain.harness.clients.member_state import STATUS_TIMEOUT_S, member_state
from splitbrain.harness.clients.status_request import status_of
from splitbrain.harness.clients.tls import ClientTls
from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.systems.clusters.link_faults import LinkFaults
from splitbrain.harness.systems.clusters.readiness import NotReady
from splitbrain.harness.systems.clusters.this_machine import ProcessesOfThisMachine
from splitbrain.harness.systems.disks.disk_faults import DiskFaults
from splitbrain.harness.systems.disks.member_disks import MemberDisks
from splitbrain.harness.systems.etcd_like.auth_and_quota_requests import Administration
from splitbrain.harness.systems.etcd_like.cluster_settings import ClusterSettings
from splitbrain.harness.systems.etcd_like.cluster_tls import Encryption
from splitbrain.harness.systems.etcd_like.member_addresses import Place
from splitbrain.harness.systems.etcd_like.membership import ProcessMembership
from splitbrain.harness.systems.etcd_like.next_start import ChangesPrograms, NextStarts
from splitbrain.harness.systems.networks.local_network import local_network
from splitbrain.harness.systems.networks.network import MemberNetwork
from splitbrain.harness.systems.networks.new_connections import NewConnections
from splitbrain.harness.systems.processes.log_counts import LogCounts
from splitbrain.harness.systems.processes.member_logs import LogFaults
from splitbrain.harness.systems.system import Address
from splitbrain.harness.systems.tls.tls_probe import TlsProbe
from splitbrain.histories.member_state import MemberState
from splitbrain.nemesis.disk_fault import DiskArea
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import OperatorDo
from splitbrain.nemesis.fault_target import MemberName
from splitbrain.nemesis.moment import MomentEvent

CLIENT, PEER = "client", "peer"
"""The names of a member's two ports: for clients and for peers."""


class ProcessCluster(
    ProcessesOfThisMachine[Place], LinkFaults[Place], ProcessMembership, Administration,
    ChangesPrograms, DiskFaults, LogFaults,
):
    """Starts and stops member processes, injects faults into them, and reads their state.

    A subclass defines how one member is started. The class implements `System`, `Killable`,
    `Pausable`, `FaultyLinks`, `Traceable`, `Powered`, `Disked`, `Corruptible`, `Maintainable`,
    `Upgradable`, `Authenticates`, `Limitable`, `LogBlockable`, `HasMoments`, `Resizable`,
    `Transferable` and `CrashReporter`.

    All methods must be called in one asyncio loop. The members are killed when the thread of
    that loop ends.
    """

    ends_in_order = True
    """Whether `stop` sends SIGTERM first; otherwise it sends SIGKILL at once."""
    areas: Mapping[DiskArea, tuple[str, ...]] = {}
    """Maps an area of the disk to patterns of its files below the data folder. Empty: the files of
    the areas are not known, and each area is the whole data folder."""

    log_events: Mapping[MomentEvent, str] = {}
    """Maps an event, such as an election, to a regular expression of the lines in a member's log
    that show it."""

    def __init__(self, settings: ClusterSettings) -> None:
        self.settings = settings
        super().__init__(members=settings.members, folder=settings.folder)
        ProcessMembership.__init__(self)
        self.start_timeout_s = settings.start_timeout_ms / 1000
        self.stop_grace_ms = settings.stop_grace_ms if self.ends_in_order else 0
        self._names: dict[int, MemberName] = {}
        """Maps a member's id to its name, as the answers of the members show them."""
        self._session: aiohttp.ClientSession | None = None
        self._status_client: GatewayClient | None = None
        """Reads the members' status several times a second, so a request must cost little."""
        self.encryption = Encryption(settings)
        self._disks = MemberDisks(self.areas, settings.seed)
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

    # --- start and stop --------------------------------------------------------------

    def _make_network(self) -> MemberNetwork:
        settings = self.settings
        return local_network(
            settings.network, seed=settings.seed, proxied=(PEER,) if settings.proxied else (),
            folder=settings.folder,
        )

    async def _place(self, name: MemberName, number: int) -> Place:
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

    async def _prepare(self) -> None:
        if self.settings.piped_logs:
            self._logs.open((name, self.log_path(name)) for name in self.members)
        self.encryption.renew(
            one for place in self.places.values() for one in (place.peer_url, place.advertised_url)
        )
        self._session = self.encryption.session()
        self._status_client = GatewayClient(round(STATUS_TIMEOUT_S * 1000), self.encryption.client)
        if self.settings.mounted_disks:
            for place in self.places.values():
                await self._disks.mount(place.name, place.data)

    def _commands(self, place: Place) -> Mapping[str, Sequence[str]]:
        # A member that joins a running cluster gets the current members. A member that started the
        # cluster always gets the first members, because they determine the cluster's id.
        joins = place.name in self._joining
        initial_cluster = ",".join(
            f"{one.name}={one.advertised_url}" for one in self.places.values()
            if not (joins and one.name in self._vacant)
        )
        settings = self.settings
        return {"": (
            *self.command(place, initial_cluster),
            *settings.extra_args,
            *settings.member_args.get(place.name, ()),
            *self._next_starts.flags(place.name),
        )}

    def _environment(self, place: Place) -> Mapping[str, str]:
        settings = self.settings
        return {
            **self.environment(), **settings.extra_env, **settings.member_env.get(place.name, {}),
        }

    async def _not_ready(self, members: Sequence[MemberName]) -> NotReady | None:
        """Return None if every member answers, and all report the same leader."""
        statuses = await self._statuses()
        leaders = {one.leader for one in statuses.values()}
        if len(statuses) == len(self.members) and len(leaders) == 1 and leaders != {0}:
            return None
        answered = ", ".join(statuses) or "none"
        return NotReady(
            reason="no leader that all members know", members=self.members,
            detail=f"; {answered} of {', '.join(self.members)} answered",
        )

    def _may_start(self, member: MemberName) -> bool:
        return member not in self._vacant

    async def _before_stop(self) -> None:
        # The harness closes its connections first, because etcd waits for open ones on SIGTERM.
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        client, self._status_client = self._status_client, None
        if client is not None:
            client.close()

    async def _close(self) -> None:
        try:
            await super()._close()
        finally:
            await self._disks.unmount()

    @property
    def tls(self) -> ClientTls | None:
        """Return the certificates of the cluster's clients, or None if the members have no TLS."""
        return self.encryption.client

    async def probe_tls(self) -> Sequence[TlsProbe]:
        """Test which connections the members accept and refuse. Returns () without TLS."""
        return await self.encryption.probe(self.places.values())

    # --- operator's actions ----------------------------------------------------------

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

    def occurrences(self, event: MomentEvent) -> int | None:
        """Return how often `event` has happened according to the members' logs; None if unknown.

        New connections are counted in the kernel's table of connections.
        """
        if event == "connection":
            ports = (urlsplit(one.client_url).port for one in self.places.values())
            return self._connections.count({port for port in ports if port is not None})
        if event not in self.log_events:
            return None
        return sum(
            self._log_counts[name].count(event) for name in self.members
        )

    def pid(self, member: MemberName) -> int | None:
        """Return the process id of a member, or None if it does not run."""
        return next(iter(self.pids(member)), None)

    async def leader(self) -> MemberName | None:
        """Return the leader of the highest term that a member reports at present.

        Returns None in two cases:

        - No member reports a leader.
        - The reported leader is paused or does not run. Perhaps its followers have not noticed this
          yet.
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

    def files(self, member: MemberName, area: DiskArea, pattern: str = "") -> Sequence[Path]:
        """Return the existing files of the member in `area`.

        With a `pattern`, returns the files in the data folder that match it, and ignores `area`.
        Raises FaultError if the system has no such area.
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
        if self._status_client is None:
            return None
        url = self.places[name].client_url
        return await status_of(self._status_client, url, self.administrator)

    def _can_answer(self, name: MemberName) -> bool:
        return self.alive(name) and name not in self._paused

    def _require_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise SystemFailed(f"the cluster {self.name} is not running; start it first")
        return self._session
