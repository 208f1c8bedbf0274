"""The base class of stores whose members are processes, on this machine or on others.

A subclass for each place where processes run (`local_processes.py`, `hosts/`) starts them. A class
of the user, derived from such a subclass, defines the command line of a member. This class does the
rest: it starts all members in order, waits until they are healthy, kills, pauses and restarts them,
and notices their crashes. A member may consist of several processes, which are killed and paused
together, as if they ran on a separate machine.
"""

from __future__ import annotations

import asyncio
import inspect
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from splitbrain.harness.clients.address import Address
from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.systems.networks.network import MemberNetwork
from splitbrain.harness.systems.processes.crash import Crash, CrashLog, log_bytes
from splitbrain.harness.systems.processes.member_files import MemberFiles
from splitbrain.harness.systems.processes.member_process import log_tail
from splitbrain.nemesis.fault import MemberName

POLL_S = 0.05
HEALTH_TIMEOUT_S = 2.0
VERSION_TIMEOUT_S = 10.0
VERSION_CHARACTERS_MAX = 200


class Located(Protocol):
    """A member with an address and ports."""

    @property
    def host(self) -> str: ...

    @property
    def ports(self) -> Mapping[str, int]: ...


M = TypeVar("M", bound=Located)
"""The type of the value that describes a member."""


class ProcessTree(Protocol):
    """A process of a member, with its descendants."""

    kill_sent: bool
    """Whether the harness sent a SIGKILL."""

    @property
    def exit_code(self) -> int | None:
        """Return the exit code: None while the process runs, -9 after a SIGKILL."""

    def alive(self) -> bool:
        """Return whether the process runs. A process stopped by SIGSTOP runs."""

    async def kill(self) -> None:
        """Send SIGKILL, and wait until the process has ended."""

    async def pause(self) -> None:
        """Send SIGSTOP to the process and its descendants."""

    async def resume(self) -> None:
        """Send SIGCONT to the process and its descendants."""

    async def terminate(self, grace_ms: int) -> None:
        """Send SIGTERM, and SIGKILL if the process has not ended after `grace_ms`."""


class MemberProcesses(ABC, Generic[M]):
    """Starts and stops members that are processes; implements kill and pause.

    All methods are called in one asyncio loop. `prepare`, `before_restart`, `healthy`, `leads`,
    `set_up` and `tear_down` may be coroutine functions.
    """

    name: ClassVar[str] = ""
    ports: ClassVar[Sequence[str]] = ("client",)
    """The names of each member's ports. Clients connect to the first one."""
    one_at_a_time: ClassVar[bool] = False
    """Whether a member is started only when the member before it is healthy."""
    start_timeout_s: ClassVar[float] = 60.0
    stop_grace_ms: ClassVar[int] = 0
    """The time between SIGTERM and SIGKILL when the run ends. 0: only SIGKILL is sent."""
    version_command: ClassVar[Sequence[str]] = ()
    """The command that prints the version of the store, such as ("redis-server", "--version")."""

    def __init__(
        self, *, members: Sequence[MemberName], folder: Path, options: Options, **_: object
    ) -> None:
        self.members: Sequence[MemberName] = tuple(members)
        self.folder = folder
        self.options = options
        self.places: dict[MemberName, M] = {}
        """The members by name; empty before `start`."""
        self._network = self._make_network()
        self._processes: dict[MemberName, dict[str, ProcessTree]] = {}
        self._crashes = CrashLog()
        self._version = ""
        self._problems: dict[MemberName, str] = {}
        """For each member, the error of its last check by `healthy` or `leads`. An error counts as
        False."""

    # --- defined by the store ------------------------------------------------------------

    @abstractmethod
    def command(self, member: M) -> Sequence[str]:
        """Return the command line of `member`."""

    def commands(self, member: M) -> Mapping[str, Sequence[str]]:
        """Return the command lines of all processes of `member`, with a name for each process."""
        return {"": self.command(member)}

    @abstractmethod
    def environment(self, member: M) -> Mapping[str, str]:
        """Return the environment variables of the member's processes."""

    def prepare(self, member: M) -> Awaitable[None] | None:
        """Write the files that `member` needs, before its first start."""
        return None

    def before_restart(self, member: MemberName) -> Awaitable[None] | None:
        """Prepare a restart of a killed member, for example by a repair of its files.

        The harness calls this method before it starts the member again. By default it does nothing.
        """
        return None

    def healthy(self, member: MemberName) -> Awaitable[bool] | bool:
        """Return whether the member serves.

        By default, a member serves if its first port accepts connections.
        """
        place = self.places[member]
        return _accepts(place.host, place.ports[self.ports[0]])

    def set_up(self) -> Awaitable[None] | None:
        """Set the cluster up, for example by joining the members.

        The harness calls this method once, when all members are healthy. By default it does
        nothing.
        """
        return None

    def tear_down(self) -> Awaitable[None] | None:
        """Prepare the end of the members. By default, do nothing.

        The harness calls this method before it ends the members, even if the start failed.
        """
        return None

    def versions(self) -> Mapping[str, str]:
        """Return the version that `version_command` printed when it was first called."""
        if self.version_command and not self._version:
            self._version = _first_line(self.version_command)
        return {self._shown_name(): self._version} if self._version else {}

    def leads(self, member: MemberName) -> Awaitable[bool] | bool:
        """Return whether the member is the leader or primary, so that faults can hit the leader."""
        return False

    async def leader(self) -> MemberName | None:
        """Return the first member that runs and for which `leads` returns True, or None.

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
                await self._prepare(self.places[name])
            for name in self.members:
                await self._spawn(name)
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
        """End every process. The method may be called in any state and repeatedly."""
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
            await self._close()

    @abstractmethod
    def _make_network(self) -> MemberNetwork: ...

    @abstractmethod
    async def _place(self, name: MemberName, number: int) -> M:
        """Reserve the addresses and the folder of the member `name`, whose number is `number`."""

    @abstractmethod
    async def _start_process(
        self, place: M, command: Sequence[str], log: Path
    ) -> ProcessTree:
        """Start a process of the member, and append its output to `log`."""

    async def _prepare(self, place: M) -> None:
        await _awaited(self.prepare(place))

    def _owners(self) -> Mapping[MemberName, tuple[int, ...]]:
        """Return the process ids of each member, if its processes run on this machine."""
        return {}

    async def _close(self) -> None:
        """Release what the system uses, after all processes have ended. Called in any state."""
        await self._network.stop()

    async def _spawn(self, name: MemberName) -> None:
        """Start those processes of the member that do not run."""
        place = self.places[name]
        own = self._processes.setdefault(name, {})
        for part, command in self.commands(place).items():
            if part in own and own[part].alive():
                continue
            log = self._log_of(name, part)
            log_begin = log_bytes(log)
            own[part] = await self._start_process(place, command, log)
            self._crashes.add_process(own[part], log_begin)

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
                    f"{self.start_timeout_s:g} s{self._last_problem(waiting)}.\n"
                    f"{self._log_tails(waiting)}"
                )
            await asyncio.sleep(POLL_S)

    async def is_healthy(self, member: MemberName) -> bool:
        """Return whether the member runs and `healthy` returns True within HEALTH_TIMEOUT_S."""
        return await self._running_and(self.healthy, member)

    async def _running_and(
        self, holds: Callable[[MemberName], Awaitable[bool] | bool], member: MemberName
    ) -> bool:
        self._problems.pop(member, None)
        if not self.alive(member):
            return False
        try:
            async with asyncio.timeout(HEALTH_TIMEOUT_S):
                answer = holds(member)
                return bool(await answer if inspect.isawaitable(answer) else answer)
        except Exception as problem:
            self._problems[member] = f"{type(problem).__name__}: {problem}"
            return False

    def _last_problem(self, members: Sequence[MemberName]) -> str:
        text = next((self._problems[one] for one in members if one in self._problems), "")
        return f"; its last check raised {text}" if text else ""

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
        """Send SIGKILL to all processes of the member and their descendants.

        Returns when they have ended.
        """
        self._notice_crashes(member)
        await self._kill(member)

    async def restart(self, member: MemberName) -> None:
        """Start those processes of the member that do not run. Returns when they run."""
        self._notice_crashes(member)
        await _awaited(self.before_restart(member))
        await self._spawn(member)
        await self._network.set_owners(self._owners())

    async def pause(self, member: MemberName) -> None:
        """Send SIGSTOP to all processes of the member and their descendants."""
        await asyncio.gather(*(process.pause() for process in self._running(member)))

    async def resume(self, member: MemberName) -> None:
        """Send SIGCONT to all processes of the member and their descendants."""
        await asyncio.gather(*(process.resume() for process in self._running(member)))

    async def _kill(self, member: MemberName) -> None:
        own = list(self._processes.get(member, {}).values())
        await asyncio.gather(*(process.kill() for process in own))

    # --- state ---------------------------------------------------------------------------

    def address(self, member: MemberName) -> Address:
        place = self.places.get(member)
        if place is None:
            raise SystemFailed(f"{self._shown_name()} has not been started: no address of {member}")
        first = place.ports[self.ports[0]]
        return Address(member, f"{place.host}:{first}", ports=place.ports)

    def alive(self, member: MemberName) -> bool:
        """Return whether all processes of the member run. A paused process runs."""
        own = self._processes.get(member, {})
        return bool(own) and all(process.alive() for process in own.values())

    def ended_by_themselves(self) -> Sequence[Crash]:
        """Return a crash for each process that ended although the harness did not kill it."""
        for name in self._processes:
            self._notice_crashes(name)
        return self._crashes.all()

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

    def _running(self, member: MemberName) -> Iterator[ProcessTree]:
        yield from (one for one in self._processes.get(member, {}).values() if one.alive())

    def _notice_crashes(self, member: MemberName) -> None:
        for part, process in self._processes.get(member, {}).items():
            self._crashes.notice(member, process, self._log_of(member, part))

    def _shown_name(self) -> str:
        return self.name or type(self).__name__


async def _awaited(answer: Any) -> None:
    if inspect.isawaitable(answer):
        await answer


async def _accepts(host: str, port: int) -> bool:
    """Return whether a process accepts connections at the address `host` and `port`."""
    _, writer = await asyncio.open_connection(host, port)
    writer.close()
    return True


def _first_line(command: Sequence[str]) -> str:
    """Return the first line that `command` prints. Raises SystemFailed if it cannot be started."""
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
