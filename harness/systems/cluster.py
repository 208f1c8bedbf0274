"""A cluster of member processes behind proxies, whichever etcd-like store they run."""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from splitbrain.harness.clients.member_state import member_state, status
from splitbrain.harness.clients.messages import Status
from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.systems.ports import HOST, Ports
from splitbrain.harness.systems.process import MemberProcess, log_tail, spawn
from splitbrain.harness.systems.proxies.proxy_process import ProxyProcess
from splitbrain.harness.systems.settings import ClusterSettings
from splitbrain.harness.systems.system import Address
from splitbrain.histories.member_state import MemberState
from splitbrain.nemesis.capabilities import LinkState
from splitbrain.nemesis.fault import MemberName

START_TRIES_MAX = 3
PAUSE_TIMEOUT_S = 5.0
PORT_LOST = ("address already in use", "something else listens on")
"""What etcd's members and ours log when they cannot bind, in small letters."""
_POLL_S = 0.02
log = logging.getLogger("splitbrain.systems")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one member listens and is reached."""

    name: MemberName
    client_url: str
    peer_url: str
    """Where it listens for peers."""
    advertised_url: str
    """Where its peers reach it: the proxy's, if there is one."""
    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"


class ProcessCluster(ABC):
    """Starts, stops, hurts and asks member processes. A store is a subclass that says how
    one member is started; it fulfils `System`, `Killable`, `Pausable`, `Partitionable`.

    All methods belong to one asyncio loop, in the thread that may outlive it: members
    are killed when the thread that started them ends.
    """

    name: str
    ends_in_order = True
    """Whether `stop` gives members time to end by themselves."""

    def __init__(self, settings: ClusterSettings) -> None:
        self.settings = settings
        self.members: Sequence[MemberName] = settings.members
        self._ports = Ports()
        self._places: dict[MemberName, Place] = {}
        self._processes: dict[MemberName, MemberProcess] = {}
        self._paused: dict[MemberName, None] = {}
        self._own_ends: dict[MemberProcess, str] = {}
        """Of processes that nobody had killed, how they ended."""
        self._names: dict[int, MemberName] = {}
        """Members by their ids, as they told."""
        self._proxies: ProxyProcess | None = None
        self._session: aiohttp.ClientSession | None = None

    # --- what a store says -----------------------------------------------------------

    @abstractmethod
    def command(self, place: Place, initial_cluster: str) -> Sequence[str]:
        """The command line of one member. Raises SystemFailed if its program is not there."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """What every member's process finds in its environment."""

    @abstractmethod
    def versions(self) -> Mapping[str, str]: ...

    def trace_path(self, member: MemberName) -> Path | None:
        return None

    # --- life ------------------------------------------------------------------------

    async def start(self) -> None:
        """Start every member and wait until all know one leader. Raises SystemFailed."""
        if self._processes:
            raise SystemFailed(f"the cluster {self.name} has been started already: stop it first")
        try:
            for left in reversed(range(START_TRIES_MAX)):
                await self._open()
                try:
                    await self._serving()
                    return
                except _PortLost as lost:
                    if not left:
                        raise SystemFailed(str(lost)) from lost
                    log.warning("a port was taken by someone else: starting again")
                    await self.stop()
                    self._clear_data()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End every process, in any state, any number of times."""
        processes = list(self._processes.values())
        grace_ms = self.settings.stop_grace_ms if self.ends_in_order else 0
        try:
            # First: etcd waits for its clients' connections when it is told to end.
            session, self._session = self._session, None
            if session is not None:
                await session.close()
            await asyncio.gather(*(process.terminate(grace_ms) for process in processes))
        finally:
            for process in processes:
                process.kill()
            self._processes.clear()
            self._paused.clear()
            proxies, self._proxies = self._proxies, None
            if proxies is not None:
                await proxies.stop()
            self._ports.release()

    async def _open(self) -> None:
        self._own_ends.clear()
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        if self.settings.proxied:
            self._proxies = ProxyProcess(self.settings.seed, self.settings.folder / "proxies.log")
            await self._proxies.start()
        for name in self.members:
            self._places[name] = await self._place(name)
        for name in self.members:
            self._spawn(name)
        await self._tell_owners()

    async def _place(self, name: MemberName) -> Place:
        client, peer = self._ports.take(), self._ports.take()
        reached = await self._proxies.listen(name, peer) if self._proxies else peer
        return Place(
            name=name,
            client_url=f"http://{HOST}:{client}",
            peer_url=f"http://{HOST}:{peer}",
            advertised_url=f"http://{HOST}:{reached}",
            folder=self.settings.folder / name,
        )

    def _spawn(self, name: MemberName) -> None:
        place = self._places[name]
        place.folder.mkdir(parents=True, exist_ok=True)
        everyone = ",".join(f"{one.name}={one.advertised_url}" for one in self._places.values())
        settings = self.settings
        command = (
            *self.command(place, everyone),
            *settings.extra_args,
            *settings.member_args.get(name, ()),
        )
        env = {
            **self.environment(),
            **settings.extra_env,
            **settings.member_env.get(name, {}),
        }
        self._processes[name] = spawn(command, env, self.log_path(name))

    async def _tell_owners(self) -> None:
        """Let the proxies know which process is which member."""
        if self._proxies is not None:
            running = {name: p.pid for name, p in self._processes.items() if p.alive()}
            await self._proxies.set_owners(running)

    def _clear_data(self) -> None:
        for place in self._places.values():
            shutil.rmtree(place.data, ignore_errors=True)

    async def _serving(self) -> None:
        """Wait until every member says who leads, and all say the same."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.settings.start_timeout_ms / 1000
        while True:
            self._all_run()
            told = await self._statuses()
            leaders = {one.leader for one in told.values()}
            if len(told) == len(self.members) and len(leaders) == 1 and leaders != {0}:
                return
            if loop.time() > deadline:
                raise SystemFailed(
                    f"{self.name}: no leader that all members know within "
                    f"{self.settings.start_timeout_ms} ms; {', '.join(told) or 'none'} of "
                    f"{', '.join(self.members)} answered.\n{self._tails()}"
                )
            await asyncio.sleep(_POLL_S)

    def _all_run(self) -> None:
        for name, process in self._processes.items():
            if process.exit_code is None:
                continue
            tail = log_tail(self.log_path(name))
            port_lost = any(words in tail.lower() for words in PORT_LOST)
            kind = _PortLost if port_lost else SystemFailed
            raise kind(
                f"{self.name}: member {name} ended with exit code {process.exit_code} while the "
                f"cluster started. Its log ({self.log_path(name)}) ends:\n{tail}"
            )

    def _tails(self) -> str:
        return "\n".join(
            f"{self.log_path(name)} ends:\n{log_tail(self.log_path(name))}"
            for name in self.members
        )

    # --- what can be done to it ------------------------------------------------------

    async def kill(self, member: MemberName) -> None:
        """SIGKILL, also while it is paused; returns when it is gone."""
        self._paused.pop(member, None)
        self._notice_own_end(member)
        if (process := self._process(member)) is not None:
            await process.kill_and_wait()

    async def restart(self, member: MemberName) -> None:
        """Start it again on its data, unless it runs. Returns when its process runs."""
        process = self._process(member)
        if process is not None and process.kill_sent:
            await process.kill_and_wait()  # a kill that was cancelled may still be under way
        self._notice_own_end(member)
        if not self.alive(member):
            self._spawn(member)
        await self._tell_owners()

    async def pause(self, member: MemberName) -> None:
        """SIGSTOP; nothing if it does not run. Returns when the process stands still."""
        if (process := self._process(member)) is not None and process.alive():
            self._paused[member] = None
            process.signal(signal.SIGSTOP)
            give_up = asyncio.get_running_loop().time() + PAUSE_TIMEOUT_S
            while member in self._paused and process.alive() and not process.is_stopped():
                if asyncio.get_running_loop().time() > give_up:
                    raise SystemFailed(
                        f"{member} did not stop within {PAUSE_TIMEOUT_S} s of a SIGSTOP"
                    )
                await asyncio.sleep(0.001)

    def is_stopped(self, member: MemberName) -> bool:
        """Whether its process runs and stopped itself: not by `pause`."""
        process = self._process(member)
        stopped = process is not None and process.alive() and process.is_stopped()
        return stopped and member not in self._paused

    async def resume(self, member: MemberName) -> None:
        """SIGCONT; nothing if it does not run."""
        if (process := self._process(member)) is not None:
            process.signal(signal.SIGCONT)
        self._paused.pop(member, None)

    async def set_link(self, source: MemberName, target: MemberName, state: LinkState) -> None:
        """What `source` sends to `target` from now on fares so; see `proxy`. In force on return."""
        self._place_of(source)
        self._place_of(target)
        if self._proxies is None:
            raise SystemFailed(
                f"the links of {self.name} cannot be touched: it was started without proxies"
            )
        await self._proxies.set_link(source, target, state)

    # --- what it says of itself ------------------------------------------------------

    def address(self, member: MemberName) -> Address:
        place = self._place_of(member)
        return Address(member, place.client_url, place.advertised_url)

    def alive(self, member: MemberName) -> bool:
        process = self._process(member)
        return process is not None and process.alive()

    def ended_by_themselves(self) -> Sequence[str]:
        """A fault's restart hides none: a member that crashes must not pass for a killed one."""
        for name in self._processes:
            self._notice_own_end(name)
        return tuple(self._own_ends.values())

    def _notice_own_end(self, member: MemberName) -> None:
        process = self._process(member)
        if process is None or process.alive() or process.kill_sent or process in self._own_ends:
            return
        log = self.log_path(member)
        self._own_ends[process] = (
            f"{member} ended by itself with exit code {process.exit_code}; its log ({log}) said "
            f"at last: {log_tail(log).splitlines()[-1]}"
        )

    def pid(self, member: MemberName) -> int | None:
        """The process of a member that runs."""
        process = self._process(member)
        return process.pid if process is not None and process.alive() else None

    async def leader(self) -> MemberName | None:
        """Who leads in the highest term that a member reports now.

        None if nobody knows of a leader, or if the one that they know of does not run
        or is paused: it leads nobody now, whatever its followers have not noticed yet.
        """
        told = [one for one in (await self._statuses()).values() if one.leader]
        if not told:
            return None
        newest = max(told, key=lambda one: one.raft_term)
        name = self._names.get(newest.leader)
        return name if name is not None and self._answers(name) else None

    async def state(self, member: MemberName, at_revision: int | None = None) -> MemberState:
        """Status, HashKV at `at_revision` and the change log; an `error` if it cannot be asked."""
        try:
            place = self._place_of(member)
            return await member_state(
                self._asking(), member, place.client_url, place.peer_url, at_revision
            )
        except (aiohttp.ClientError, OSError, TimeoutError, SystemFailed) as problem:
            return MemberState(member=member, error=f"{type(problem).__name__}: {problem}")

    def log_path(self, member: MemberName) -> Path:
        return self.settings.folder / member / "log"

    def data_path(self, member: MemberName) -> Path:
        return self.settings.folder / member / "data"

    async def _statuses(self) -> dict[MemberName, Status]:
        """Of every member that answers within a second, all asked at once."""
        asked = [name for name in self.members if self._answers(name)]
        told = await asyncio.gather(*(self._status(name) for name in asked))
        found = {name: one for name, one in zip(asked, told, strict=True) if one is not None}
        for name, one in found.items():
            self._names[one.header.member_id] = name
        return found

    async def _status(self, name: MemberName) -> Status | None:
        try:
            return await status(self._asking(), self._places[name].client_url)
        except (aiohttp.ClientError, OSError, TimeoutError, SystemFailed):
            return None

    def _answers(self, name: MemberName) -> bool:
        return self.alive(name) and name not in self._paused

    def _asking(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise SystemFailed(f"the cluster {self.name} is not running: start it first")
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
            raise SystemFailed(f"the cluster {self.name} has not been started: {member} is nowhere")
        return self._places[member]


class _PortLost(SystemFailed):
    """A member could not bind: another program took a port of ours."""
