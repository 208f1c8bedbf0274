"""The base class of all clusters whose members are processes, on this machine or on others.

This class starts the members, waits until they are ready, kills, pauses and restarts them, and
notices their crashes. Subclasses define where processes run, which commands they execute, and when
a member is ready. A member may consist of several processes, which are killed and paused together,
as if they ran on a separate machine.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.systems.clusters.readiness import (
    NotReady,
    PortLost,
    refuse_ended,
    wait_until_ready,
)
from splitbrain.harness.systems.networks.network import MemberNetwork
from splitbrain.harness.systems.processes.crash import Crash, CrashLog, log_bytes
from splitbrain.harness.systems.processes.member_files import MemberFiles
from splitbrain.harness.systems.processes.member_logs import MemberLogs
from splitbrain.harness.systems.processes.member_process import log_tail
from splitbrain.harness.systems.processes.process_tree import ProcessTree
from splitbrain.nemesis.fault_target import MemberName

log = logging.getLogger("splitbrain.systems")


class Named(Protocol):
    """The value that describes a member: where it runs, and at which addresses."""

    @property
    def name(self) -> MemberName: ...


M = TypeVar("M", bound=Named)
"""The type of the value that describes a member."""


class MemberProcesses(ABC, Generic[M]):
    """Starts and stops members that are processes; implements kill and pause.

    All methods are called in one asyncio loop.
    """

    name: str = ""
    one_at_a_time: bool = False
    """Whether a member is started only when the member before it is ready."""
    start_timeout_s: float = 60.0
    start_tries_max: int = 3
    """How often the start is tried while other programs take ports of the members. Between two
    tries, all files of the members except their logs are deleted."""
    stop_grace_ms: int = 0
    """The time between SIGTERM and SIGKILL when the run ends. 0: only SIGKILL is sent."""

    def __init__(self, *, members: Sequence[MemberName], folder: Path) -> None:
        self.members: Sequence[MemberName] = tuple(members)
        self.folder = folder
        self.places: dict[MemberName, M] = {}
        """The members by name; empty before `start`."""
        self._network = self._make_network()
        self._processes: dict[MemberName, dict[str, ProcessTree]] = {}
        self._paused: dict[MemberName, None] = {}
        self._start_locks: dict[MemberName, asyncio.Lock] = {}
        self._crashes = CrashLog()
        self._logs = MemberLogs()

    # --- defined by subclasses -----------------------------------------------------------

    @abstractmethod
    def _make_network(self) -> MemberNetwork:
        """Create the network of the members, without starting it."""

    @abstractmethod
    async def _place(self, name: MemberName, number: int) -> M:
        """Reserve the addresses and the folder of the member `name`, whose number is `number`."""

    @abstractmethod
    def _commands(self, place: M) -> Mapping[str, Sequence[str]]:
        """Return the command line of each process of the member, by the name of the process."""

    @abstractmethod
    async def _start_process(
        self, place: M, command: Sequence[str], log: Path
    ) -> ProcessTree:
        """Start a process of the member, and append its output to `log`."""

    @abstractmethod
    async def _not_ready(self, members: Sequence[MemberName]) -> NotReady | None:
        """Return which of `members` are not ready, and why; None if all are ready."""

    async def _prepare(self) -> None:
        """Create what the members need before their first start. All members are in `places`."""

    async def _set_up(self) -> None:
        """Do what must be done after all members are ready."""

    async def _before_restart(self, member: MemberName) -> None:
        """Prepare the restart of a member that does not run."""

    async def _before_stop(self) -> None:
        """Do what is needed before all members are ended. Called in any state."""

    async def _close(self) -> None:
        """Release what the cluster uses, after all processes have ended. Called in any state."""
        await self._network.stop()

    def _may_start(self, member: MemberName) -> bool:
        """Return whether `restart` may start processes of the member."""
        return True

    def _owners(self) -> Mapping[MemberName, tuple[int, ...]]:
        """Return the process ids of each member, if its processes run on this machine."""
        return {}

    # --- start and stop ------------------------------------------------------------------

    async def start(self) -> None:
        """Start every member, and return when all of them are ready.

        The start is repeated on other ports if another program has taken a port of a member.
        Raises SystemFailed.
        """
        if self._processes:
            raise SystemFailed(
                f"the cluster {self._shown_name()} is already started; stop it first"
            )
        try:
            for tries_left in reversed(range(self.start_tries_max)):
                try:
                    await self._start_once()
                    return
                except PortLost as lost:
                    if not tries_left:
                        raise SystemFailed(str(lost)) from lost
                    log.warning("another program took a port of a member; the cluster starts again")
                    await self.stop()
                    for member in self.members:
                        await asyncio.to_thread(MemberFiles(self.folder / member).clear)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End every process. The method may be called in any state and repeatedly."""
        try:
            await self._before_stop()
            if self.stop_grace_ms:
                await _together(one.terminate(self.stop_grace_ms) for one in self._all())
        finally:
            try:
                await _together(one.kill() for one in self._all())
            finally:
                self._processes.clear()
                self._paused.clear()
                self._logs.close()
                await self._close()

    async def _start_once(self) -> None:
        self._crashes.clear()
        await self._network.start(self.members)
        for number, name in enumerate(self.members, start=1):
            self.places[name] = await self._place(name, number)
        await self._prepare()
        for place in tuple(self.places.values()):
            await self._spawn(place)
            if self.one_at_a_time:
                await self._update_owners()
                await self._wait_until_ready([place.name])
        await self._update_owners()
        await self._wait_until_ready(self.members)
        await self._set_up()

    async def _spawn(self, place: M) -> None:
        """Start those processes of the member at `place` that do not run."""
        own = self._processes.setdefault(place.name, {})
        for part, command in self._commands(place).items():
            if part in own and own[part].alive():
                continue
            path = self._log_of(place.name, part)
            log_begin = log_bytes(path)
            own[part] = await self._start_process(place, command, path)
            self._crashes.add_process(own[part], log_begin)

    async def _update_owners(self) -> None:
        """Tell the network which processes the running members consist of."""
        await self._network.set_owners(self._owners())

    async def _wait_until_ready(self, members: Sequence[MemberName]) -> None:
        await wait_until_ready(
            members, self._not_ready, refuse_ended=self._refuse_ended,
            describe=self._start_timeout, timeout_s=self.start_timeout_s,
        )

    def _refuse_ended(self) -> None:
        for member, own in self._processes.items():
            self._logs.drain(member)
            for part, process in own.items():
                refuse_ended(self._shown_name(), member, process, self._log_of(member, part))

    def _start_timeout(self, problem: NotReady) -> str:
        paths = [
            self._log_of(name, part) for name in problem.members
            for part in self._processes.get(name, {})
        ]
        tails = "\n".join(f"{path} ends:\n{log_tail(path)}" for path in paths)
        return (
            f"{self._shown_name()}: {problem.reason} within {self.start_timeout_s:g} s"
            f"{problem.detail}.\n{tails}"
        )

    # --- faults --------------------------------------------------------------------------

    async def kill(self, member: MemberName) -> None:
        """Send SIGKILL to all processes of the member and their descendants.

        Returns when they have ended. The member may be paused.
        """
        self._paused.pop(member, None)
        self._notice_crashes(member)
        await _together(one.kill() for one in self._of(member).values())

    def start_lock(self, member: MemberName) -> asyncio.Lock:
        """Return the lock of the member's start.

        While a caller has the lock, `restart` does not start a process of the member.
        """
        return self._start_locks.setdefault(member, asyncio.Lock())

    async def restart(self, member: MemberName) -> None:
        """Start those processes of the member that do not run. Returns when they run."""
        # If a call of `kill` was cancelled, processes may still be running.
        killed = [one for one in self._of(member).values() if one.kill_sent and one.alive()]
        await _together(one.kill() for one in killed)
        self._notice_crashes(member)
        async with self.start_lock(member):
            await self._before_restart(member)
            if self._may_start(member):
                await self._spawn(self._place_of(member))
        await self._update_owners()

    async def pause(self, member: MemberName) -> None:
        """Send SIGSTOP to all processes of the member and their descendants.

        Returns when they have stopped. Does nothing if the member does not run.
        """
        running = tuple(self._running(member))
        if running:
            self._paused[member] = None
        await _together(one.pause() for one in running)

    async def resume(self, member: MemberName) -> None:
        """Send SIGCONT to all processes of the member and their descendants."""
        await _together(one.resume() for one in self._running(member))
        self._paused.pop(member, None)

    # --- state ---------------------------------------------------------------------------

    def alive(self, member: MemberName) -> bool:
        """Return whether all processes of the member run. A paused process runs."""
        own = self._of(member)
        return bool(own) and all(one.alive() for one in own.values())

    def ended_by_themselves(self) -> Sequence[Crash]:
        """Return a crash for each process that ended although the harness did not kill it.

        The crashes are in the order of detection. A crash is reported even if the end of a fault
        has restarted the member since.
        """
        for name in self._processes:
            self._notice_crashes(name)
        return self._crashes.all()

    def log_path(self, member: MemberName) -> Path:
        return self._log_of(member, "")

    def data_path(self, member: MemberName) -> Path:
        return MemberFiles(self.folder / member).data

    def trace_path(self, member: MemberName) -> Path | None:
        return None

    def _notice_crashes(self, member: MemberName) -> None:
        for part, process in self._of(member).items():
            if not process.alive():
                self._logs.drain(member)
            self._crashes.notice(member, process, self._log_of(member, part))

    def _log_of(self, member: MemberName, part: str) -> Path:
        """Return the path of the log of the process `part`.

        The member's log is the log of its first process.
        """
        first = next(iter(self._processes.get(member, {})), part)
        folder = self.folder / member
        return MemberFiles(folder).log if part in ("", first) else folder / f"{part}.log"

    def _all(self) -> Iterator[ProcessTree]:
        for own in self._processes.values():
            yield from own.values()

    def _of(self, member: MemberName) -> Mapping[str, ProcessTree]:
        """Return the processes of the member; none before its first start."""
        if member not in self.members:
            raise SystemFailed(
                f"no member {member!r} in this cluster: it has {', '.join(self.members)}"
            )
        return self._processes.get(member, {})

    def _running(self, member: MemberName) -> Iterator[ProcessTree]:
        yield from (one for one in self._of(member).values() if one.alive())

    def _place_of(self, member: MemberName) -> M:
        """Return where the member runs. Raises SystemFailed before the first start."""
        self._of(member)
        if member not in self.places:
            raise SystemFailed(
                f"the cluster {self._shown_name()} has not been started, so {member} has no address"
            )
        return self.places[member]

    def _shown_name(self) -> str:
        return self.name or type(self).__name__


async def _together(calls: Iterable[Awaitable[None]]) -> None:
    """Await all calls at the same time. A single call is awaited directly and begins at once."""
    several = tuple(calls)
    if len(several) == 1:
        await several[0]
    else:
        await asyncio.gather(*several)
