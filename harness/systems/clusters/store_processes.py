"""The base class of users' stores: the methods with which a user's class describes its members.

The subclasses in `local_processes.py` and `hosts/` start the processes on this machine and on other
hosts. A user's class is derived from one of these subclasses. It defines the command line of a
member, and when a member is healthy.
"""

from __future__ import annotations

import asyncio
import subprocess
from abc import abstractmethod
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from splitbrain.harness.clients.address import Address
from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.systems.clusters.health_checks import HealthChecks, accepts, awaited
from splitbrain.harness.systems.clusters.member_processes import MemberProcesses, Named
from splitbrain.harness.systems.clusters.readiness import NotReady
from splitbrain.nemesis.fault_target import MemberName

VERSION_TIMEOUT_S = 10.0
VERSION_CHARACTERS_MAX = 200


class Located(Named, Protocol):
    """A member with an address and ports."""

    @property
    def host(self) -> str: ...

    @property
    def ports(self) -> Mapping[str, int]: ...


L = TypeVar("L", bound=Located)
"""The type of the value that describes a member."""


class StoreProcesses(MemberProcesses[L]):
    """A store whose members are processes that a class of the user describes.

    All methods are called in one asyncio loop. `prepare`, `before_restart`, `healthy`, `leads`,
    `set_up` and `tear_down` may be coroutine functions.
    """

    ports: Sequence[str] = ("client",)
    """The names of each member's ports. Clients connect to the first one."""
    version_command: Sequence[str] = ()
    """The command that prints the version of the store, such as ("redis-server", "--version")."""

    def __init__(
        self, *, members: Sequence[MemberName], folder: Path, options: Options, **_: object
    ) -> None:
        self.options = options
        super().__init__(members=members, folder=folder)
        self._checks = HealthChecks()
        self._version = ""

    # --- defined by the store ------------------------------------------------------------

    @abstractmethod
    def command(self, member: L) -> Sequence[str]:
        """Return the command line of `member`."""

    def commands(self, member: L) -> Mapping[str, Sequence[str]]:
        """Return the command lines of all processes of `member`, with a name for each process."""
        return {"": self.command(member)}

    @abstractmethod
    def environment(self, member: L) -> Mapping[str, str]:
        """Return the environment variables of the member's processes."""

    def prepare(self, member: L) -> Awaitable[None] | None:
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
        return accepts(place.host, place.ports[self.ports[0]])

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
        """Return the version of the store by the store's name; {} without `version_command`.

        The version is the first line that `version_command` prints. The command runs only once.
        """
        if self.version_command and not self._version:
            self._version = _first_line(self.version_command)
        return {self._shown_name(): self._version} if self._version else {}

    def leads(self, member: MemberName) -> Awaitable[bool] | bool:
        """Return whether the member is the leader or primary, so that faults can hit the leader."""
        return False

    async def leader(self) -> MemberName | None:
        """Return the first member that runs and for which `leads` returns True, or None.

        A member for which `leads` raises or takes longer than CHECK_TIMEOUT_S does not lead.
        """
        leading = await asyncio.gather(*(self._leads(one) for one in self.members))
        return next((one for one, leads in zip(self.members, leading, strict=True) if leads), None)

    async def is_healthy(self, member: MemberName) -> bool:
        """Return whether the member runs and `healthy` returns True within CHECK_TIMEOUT_S."""
        return self.alive(member) and await self._checks.passes(self.healthy, member)

    async def _leads(self, member: MemberName) -> bool:
        return self.alive(member) and await self._checks.passes(self.leads, member)

    # --- the parts of a start that the store defines -------------------------------------

    def _commands(self, place: L) -> Mapping[str, Sequence[str]]:
        return self.commands(place)

    async def _prepare(self) -> None:
        for name in self.members:
            await self._prepare_member(self.places[name])

    async def _prepare_member(self, place: L) -> None:
        await awaited(self.prepare(place))

    async def _not_ready(self, members: Sequence[MemberName]) -> NotReady | None:
        sick = [one for one in members if not await self.is_healthy(one)]
        if not sick:
            return None
        return NotReady(
            reason=f"{', '.join(sick)} did not become healthy", members=sick,
            detail=self._checks.last_problem(sick),
        )

    async def _set_up(self) -> None:
        await awaited(self.set_up())

    async def _before_restart(self, member: MemberName) -> None:
        await awaited(self.before_restart(member))

    async def _before_stop(self) -> None:
        if self.places:
            await awaited(self.tear_down())

    def address(self, member: MemberName) -> Address:
        place = self._place_of(member)
        first = place.ports[self.ports[0]]
        return Address(member, f"{place.host}:{first}", ports=place.ports)


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
