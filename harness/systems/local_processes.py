"""Base classes for a store whose members are processes on loopback.

A subclass defines the command line of a member. The base class provides folders, ports, logs,
signals, health checks and steps of the set-up. A member may consist of several processes, which are
killed and paused together, as if they ran on a machine of their own.

`ProxiedProcesses` also puts proxies in front of the members' ports, so that links can be cut. With
the option `network`, each member has a network namespace instead, and no proxy is needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import pwd
import shutil
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import psutil

from splitbrain.harness.clients.address import Address
from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.systems.crash import Crash, crash_of
from splitbrain.harness.systems.member_files import MemberFiles
from splitbrain.harness.systems.networks.namespaces import Namespaces
from splitbrain.harness.systems.networks.network import NAMESPACES, Loopback, MemberNetwork
from splitbrain.harness.systems.ports import HOST
from splitbrain.harness.systems.process import MemberProcess, log_tail, spawn
from splitbrain.nemesis.capabilities import LinkState
from splitbrain.nemesis.fault import MemberName

POLL_S = 0.05
HEALTH_TIMEOUT_S = 2.0
VERSION_TIMEOUT_S = 10.0
VERSION_CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalMember:
    """A member: its folder, and its ports by name."""

    name: MemberName
    number: int
    """The place of the member among the members, from 1."""
    folder: Path
    """The folder of the member, which its user may write to."""
    ports: Mapping[str, int]
    """The ports that the member listens on."""
    dialled: Mapping[str, int]
    """The ports at which the peers reach the member: `ports`, or those of its proxies."""
    host: str = HOST
    """The address of the member. It must listen on this address."""
    namespace: Path | None = None
    """The network namespace of the member; None for that of the harness."""

    @property
    def data(self) -> Path:
        return MemberFiles(self.folder).data


class LocalProcesses(ABC):
    """A store whose members are processes on loopback; implements kill and pause.

    All methods are called in one asyncio loop. The members are killed when the thread of that loop
    ends. `prepare`, `healthy`, `leads`, `set_up` and `tear_down` may be coroutine functions.
    """

    name: ClassVar[str] = ""
    ports: ClassVar[Sequence[str]] = ("client",)
    """The names of each member's ports. Clients are connected to the first one."""
    proxied: ClassVar[Sequence[str]] = ()
    """The names of the ports that have a proxy, if all members are on loopback."""
    user: ClassVar[str] = ""
    """The user that runs the members if the harness runs as root, such as "postgres"."""
    one_at_a_time: ClassVar[bool] = False
    """Whether a member is started only when the one before it is healthy."""
    start_timeout_s: ClassVar[float] = 60.0
    stop_grace_ms: ClassVar[int] = 0
    """The time between SIGTERM and SIGKILL at the end. 0: only SIGKILL."""
    version_command: ClassVar[Sequence[str]] = ()
    """Prints the version of the store, such as ("redis-server", "--version")."""

    def __init__(
        self, *, members: Sequence[MemberName], folder: Path, options: Options, **_: object
    ) -> None:
        self.members: Sequence[MemberName] = tuple(members)
        self.folder = folder
        self.options = options
        self.places: dict[MemberName, LocalMember] = {}
        """The members by name, from `start` on."""
        self._network = self._make_network()
        self._processes: dict[MemberName, dict[str, MemberProcess]] = {}
        self._crashes: dict[MemberProcess, Crash] = {}
        self._log_begins: dict[MemberProcess, int] = {}
        self._version = ""
        self._user_folders: dict[MemberName, Path] = {}
        """The folders of members that run as another user, outside the folder of the run."""
        self._user = self.user if self.user and os.geteuid() == 0 else None

    # --- defined by the store ------------------------------------------------------------

    @abstractmethod
    def command(self, member: LocalMember) -> Sequence[str]:
        """The command line of `member`."""

    def commands(self, member: LocalMember) -> Mapping[str, Sequence[str]]:
        """The command lines of all processes of `member`, by a name for each process."""
        return {"": self.command(member)}

    def environment(self, member: LocalMember) -> Mapping[str, str]:
        """The environment variables of the member's processes."""
        return dict(os.environ)

    def prepare(self, member: LocalMember) -> Awaitable[None] | None:
        """Write the files that `member` needs, before its first start."""
        return None

    def healthy(self, member: MemberName) -> Awaitable[bool] | bool:
        """Whether the member serves. By default: whether its first port accepts connections."""
        place = self.places[member]
        return _accepts(place.host, place.ports[self.ports[0]])

    def set_up(self) -> Awaitable[None] | None:
        """Called once when all members are healthy, for example to join them to a cluster."""
        return None

    def tear_down(self) -> Awaitable[None] | None:
        """Called before the members are ended, even if the start failed."""
        return None

    def versions(self) -> Mapping[str, str]:
        """The version that `version_command` printed when it was first called."""
        if self.version_command and not self._version:
            self._version = _first_line(self.version_command)
        return {self._shown_name(): self._version} if self._version else {}

    def leads(self, member: MemberName) -> Awaitable[bool] | bool:
        """Whether the member is the leader or primary, so that faults can hit it."""
        return False

    async def leader(self) -> MemberName | None:
        """The first member that runs and for which `leads` returns True; None if there is none.

        A member for which `leads` raises or takes longer than HEALTH_TIMEOUT_S does not lead.
        """
        answers = (self._running_and(self.leads, one) for one in self.members)
        leading = await asyncio.gather(*answers)
        return next((one for one, leads in zip(self.members, leading, strict=True) if leads), None)

    # --- start and stop ------------------------------------------------------------------

    async def start(self) -> None:
        """Start all members, wait until they are healthy, and call `set_up`."""
        try:
            await self._network.start(self.members)
            for number, name in enumerate(self.members, start=1):
                self.places[name] = await self._place(name, number)
            for name in self.members:
                await _awaited(self.prepare(self.places[name]))
                self._give_to_user(self.places[name].folder)
            for name in self.members:
                self._spawn(name)
                if self.one_at_a_time:
                    await self._network.set_owners(self._owners())
                    await self._wait_until_healthy([name])
            await self._network.set_owners(self._owners())
            await self._wait_until_healthy(self.members)
            await _awaited(self.set_up())
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End every process. It may be called in any state, and repeatedly."""
        try:
            if self.places:
                await _awaited(self.tear_down())
            everything = [one for own in self._processes.values() for one in own.values()]
            if self.stop_grace_ms:
                await asyncio.gather(*(one.terminate(self.stop_grace_ms) for one in everything))
        finally:
            for name in self._processes:
                await self._kill(name)
            self._processes.clear()
            await self._network.stop()
            self._keep_folders()

    def _make_network(self) -> MemberNetwork:
        seed = self.options.seed or 0
        if self.options.network == NAMESPACES:
            return Namespaces(seed=seed, log=self.folder / "slow_links.log")
        return Loopback(seed=seed, proxied=self.proxied, log=self.folder / "proxies.log")

    def _owners(self) -> Mapping[MemberName, tuple[int, ...]]:
        return {name: self.pids(name) for name in self._processes}

    async def _place(self, name: MemberName, number: int) -> LocalMember:
        ends = await self._network.endpoints(name, self.ports)
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        if self._user:
            # The folder of the run may be in a folder that only this user can enter.
            folder = Path(tempfile.mkdtemp(prefix=f"splitbrain-{name}-"))
            self._user_folders[name] = folder
        return LocalMember(
            name=name, number=number, folder=folder, ports=ends.ports, dialled=ends.dialled,
            host=ends.host, namespace=ends.namespace,
        )

    def _give_to_user(self, folder: Path) -> None:
        if self._user:
            owner = pwd.getpwnam(self._user)
            for path in (folder, *folder.rglob("*")):
                os.chown(path, owner.pw_uid, owner.pw_gid)

    def _keep_folders(self) -> None:
        """Move the folders of members that ran as another user into the folder of the run."""
        for name, folder in self._user_folders.items():
            shutil.copytree(folder, self.folder / name, dirs_exist_ok=True, symlinks=True)
            shutil.rmtree(folder)
        self._user_folders.clear()

    def _spawn(self, name: MemberName) -> None:
        """Start those processes of the member that do not run."""
        place = self.places[name]
        own = self._processes.setdefault(name, {})
        for part, command in self.commands(place).items():
            if part in own and own[part].alive():
                continue
            log = self._log_of(name, part)
            log_begin = log.stat().st_size if log.exists() else 0
            own[part] = spawn(
                command, self.environment(place), log, user=self._user, folder=place.folder,
                namespace=place.namespace,
            )
            self._log_begins[own[part]] = log_begin

    async def _wait_until_healthy(self, members: Sequence[MemberName]) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.start_timeout_s
        waiting = list(members)
        while waiting:
            for name in self._processes:
                self._refuse_ended(name)
            waiting = [one for one in waiting if not await self.is_healthy(one)]
            if waiting and loop.time() > deadline:
                raise SystemFailed(
                    f"{self._shown_name()}: {', '.join(waiting)} did not become healthy within "
                    f"{self.start_timeout_s:g} s.\n{self._log_tails(waiting)}"
                )
            await asyncio.sleep(POLL_S)

    async def is_healthy(self, member: MemberName) -> bool:
        """Whether the member runs and `healthy` returns True within HEALTH_TIMEOUT_S."""
        return await self._running_and(self.healthy, member)

    async def _running_and(
        self, holds: Callable[[MemberName], Awaitable[bool] | bool], member: MemberName
    ) -> bool:
        if not self.alive(member):
            return False
        try:
            async with asyncio.timeout(HEALTH_TIMEOUT_S):
                answer = holds(member)
                return bool(await answer if inspect.isawaitable(answer) else answer)
        except Exception:
            return False

    def _refuse_ended(self, name: MemberName) -> None:
        for part, process in self._processes[name].items():
            if process.exit_code is not None:
                log = self._log_of(name, part)
                raise SystemFailed(
                    f"{self._shown_name()}: {name} ended with exit code {process.exit_code} "
                    f"while it started; its log ({log}) ends:\n{log_tail(log)}"
                )

    def _log_tails(self, members: Sequence[MemberName]) -> str:
        paths = [self._log_of(name, part) for name in members for part in self._processes[name]]
        return "\n".join(f"{path} ends:\n{log_tail(path)}" for path in paths)

    # --- faults --------------------------------------------------------------------------

    async def kill(self, member: MemberName) -> None:
        """Send SIGKILL to all processes of the member and their descendants; wait for the end."""
        self._notice_crashes(member)
        await self._kill(member)

    async def restart(self, member: MemberName) -> None:
        """Start those processes of the member that do not run. Returns when they run."""
        self._notice_crashes(member)
        self._spawn(member)
        await self._network.set_owners(self._owners())

    async def pause(self, member: MemberName) -> None:
        """Send SIGSTOP to all processes of the member and their descendants."""
        for process in self._running(member):
            await process.pause()
            for child in _descendants(process):
                with contextlib.suppress(psutil.Error):
                    child.suspend()

    async def resume(self, member: MemberName) -> None:
        """Send SIGCONT to all processes of the member and their descendants."""
        for process in self._running(member):
            for child in _descendants(process):
                with contextlib.suppress(psutil.Error):
                    child.resume()
            process.resume()

    async def _kill(self, member: MemberName) -> None:
        own = list(self._processes.get(member, {}).values())
        children = [child for process in own for child in _descendants(process)]
        for process in own:
            process.kill()
        for child in children:
            with contextlib.suppress(psutil.Error):
                child.kill()
        for process in own:
            await process.kill_and_wait()
        await asyncio.to_thread(psutil.wait_procs, children, 10)

    # --- state ---------------------------------------------------------------------------

    def address(self, member: MemberName) -> Address:
        place = self.places.get(member)
        if place is None:
            raise SystemFailed(f"{self._shown_name()} has not been started: no address of {member}")
        first = place.ports[self.ports[0]]
        return Address(member, f"{place.host}:{first}", ports=place.ports)

    def alive(self, member: MemberName) -> bool:
        """Whether all processes of the member run. A paused process runs."""
        own = self._processes.get(member, {})
        return bool(own) and all(process.alive() for process in own.values())

    def pids(self, member: MemberName) -> tuple[int, ...]:
        """The process ids of the member's running processes, without their descendants."""
        return tuple(process.pid for process in self._running(member))

    def ended_by_themselves(self) -> Sequence[Crash]:
        """One crash for each process that ended although the harness did not kill it."""
        for name in self._processes:
            self._notice_crashes(name)
        return tuple(self._crashes.values())

    def log_path(self, member: MemberName) -> Path:
        return self._log_of(member, "")

    def data_path(self, member: MemberName) -> Path:
        return MemberFiles(self.folder / member).data

    def trace_path(self, member: MemberName) -> Path | None:
        return None

    def _log_of(self, member: MemberName, part: str) -> Path:
        first = next(iter(self._processes.get(member, {})), part)
        folder = self.folder / member
        return MemberFiles(folder).log if part in ("", first) else folder / f"{part}.log"

    def _running(self, member: MemberName) -> Iterator[MemberProcess]:
        yield from (one for one in self._processes.get(member, {}).values() if one.alive())

    def _notice_crashes(self, member: MemberName) -> None:
        for part, process in self._processes.get(member, {}).items():
            if process.alive() or process.kill_sent or process in self._crashes:
                continue
            self._crashes[process] = crash_of(
                member, process.exit_code, self._log_of(member, part), self._log_begins[process]
            )

    def _shown_name(self) -> str:
        return self.name or type(self).__name__


class LinkedProcesses(LocalProcesses):
    """As `LocalProcesses`, with links between the members; implements all faults of links.

    A class that does not have it gets it if the members are in network namespaces, where each link
    can be changed without proxies.
    """

    async def set_link(self, source: MemberName, target: MemberName, state: LinkState) -> None:
        """Set the state of the link from `source` to `target`, for all ports with a proxy."""
        try:
            await self._network.set_link(source, target, state)
        except SystemFailed as problem:
            raise SystemFailed(
                f"the links of {self._shown_name()} cannot be changed: {problem}"
            ) from problem

    def link_effects(self, source: MemberName, target: MemberName) -> int:
        """How much the faults of the link have changed so far."""
        return self._network.link_effects(source, target)


class ProxiedProcesses(LinkedProcesses):
    """As `LocalProcesses`, with proxies between the members; implements all faults of links.

    Each member must advertise `LocalMember.dialled` to its peers. Only processes of members can
    connect to a proxy; clients use `LocalMember.ports`. Every link between members must use a port
    in `proxied`.
    """


async def _awaited(answer: Any) -> None:
    if inspect.isawaitable(answer):
        await answer


async def _accepts(host: str, port: int) -> bool:
    """Whether a process accepts connections at this address."""
    _, writer = await asyncio.open_connection(host, port)
    writer.close()
    return True


def _descendants(process: MemberProcess) -> list[psutil.Process]:
    try:
        return list(psutil.Process(process.pid).children(recursive=True))
    except psutil.Error:
        return []


def _first_line(command: Sequence[str]) -> str:
    """The first line that `command` prints. Raises SystemFailed if it cannot be started."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=VERSION_TIMEOUT_S, check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise SystemFailed(
            f"cannot run {' '.join(command)!r}: {problem}; expected a program that prints its "
            "version"
        ) from problem
    text = done.stdout.decode(errors="replace").strip()
    return text.partition("\n")[0][:VERSION_CHARACTERS_MAX]
