"""The interface of a system under test: `System`, and small optional protocols.

A system supports a kind of fault if it implements a protocol such as `Killable`, `Pausable` or
`Partitionable`. A schedule contains only faults that its system supports. Clusters of real
processes and the simulator implement the same protocols.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from splitbrain.harness.clients.address import Address
from splitbrain.harness.clients.administrator import Administrator
from splitbrain.harness.clients.tls import ClientTls
from splitbrain.harness.systems.processes.crash import Crash
from splitbrain.harness.systems.tls.tls_probe import TlsProbe
from splitbrain.histories.member_state import MemberState
from splitbrain.nemesis.capabilities import Killable, LinkState, Partitionable, Pausable
from splitbrain.nemesis.fault_target import MemberName

__all__ = [
    "Address",
    "AdverseConditions",
    "AnySystem",
    "Crash",
    "CrashReporter",
    "Encrypted",
    "HasHealth",
    "Killable",
    "LinkState",
    "MemberName",
    "Partitionable",
    "Pausable",
    "ServingMembers",
    "System",
    "tls_of",
]


@runtime_checkable
class CrashReporter(Protocol):
    """A system that notices when a member ends although the harness did not end it."""

    def ended_by_themselves(self) -> Sequence[Crash | str]:
        """Return a crash for each member that ended by itself since the system started.

        The crashes are in the order in which the system noticed them. The method is called several
        times a second, and each result contains all earlier crashes. In place of a `Crash`, a text
        that begins with the name of the member is also accepted.
        """
        ...


@runtime_checkable
class Administered(Protocol):
    """A system that sends its own requests as an administrator."""

    administrator: Administrator


@runtime_checkable
class Encrypted(Protocol):
    """A system whose members may serve with TLS."""

    @property
    def tls(self) -> ClientTls | None:
        """Return the certificates of the system's clients; None if the members have no TLS.

        The result is valid after `start`.
        """
        ...

    async def probe_tls(self) -> Sequence[TlsProbe]:
        """Test which connections the members accept and refuse. Returns () without TLS."""
        ...


def tls_of(system: object) -> ClientTls | None:
    """Return the certificates of the system's clients, or None if its members have no TLS."""
    return system.tls if isinstance(system, Encrypted) else None


@runtime_checkable
class AdverseConditions(Protocol):
    """A system whose links, disks and members can behave badly without a fault of the schedule.

    For example, simulated links can lose messages during the whole run.
    """

    @property
    def has_adverse_conditions(self) -> bool:
        """Return whether links, disks or members behave worse than ideal ones at present."""
        ...

    def end_adverse_conditions(self) -> None:
        """Make links, disks and members ideal from now on."""
        ...


@runtime_checkable
class ServingMembers(Protocol):
    """A system of which only some members serve writes and linearizable reads.

    After all faults are healed, each of these members must answer both kinds of requests. In a
    system without this protocol, each member must answer them.
    """

    def serving_members(self) -> Sequence[MemberName]:
        """Return the members that serve. The method is called once, at the end of a run."""
        ...


@runtime_checkable
class HasHealth(Protocol):
    """A system that can check whether a member serves requests."""

    def healthy(self, member: MemberName) -> Awaitable[bool] | bool:
        """Return whether the member serves. An exception means that it does not."""
        ...


class AnySystem(Protocol):
    """The methods that every system must have.

    A system needs no other methods if the user's workload has a client of its own. All methods are
    called in one asyncio loop. `splitbrain.harness.systems.optional_methods` provides the other
    methods of `System` for a class that lacks them.
    """

    @property
    def members(self) -> Sequence[MemberName]:
        """Return the names of the members in a fixed order. They are known before `start`."""
        ...

    async def start(self) -> None:
        """Start every member and wait until they serve requests. Raises SystemFailed."""
        ...

    async def stop(self) -> None:
        """End every process. The method is called in any state, and may be called twice."""
        ...

    def address(self, member: MemberName) -> Address:
        """Return the URLs of a member. They are valid after `start`."""
        ...


class System(AnySystem, Protocol):
    """A cluster of members on this machine, each with a separate folder."""

    name: str

    def alive(self, member: MemberName) -> bool:
        """Return whether the member's process runs. A paused process runs."""
        ...

    async def leader(self) -> MemberName | None:
        """Return the leader of the highest term that a member reports now; None if unknown."""
        ...

    async def state(self, member: MemberName, at_revision: int | None = None) -> MemberState:
        """Read the member's status, its change log, and its HashKV at `at_revision`.

        If `at_revision` is None, the HashKV is that of the newest revision. If the member cannot be
        read, the method does not raise: the result contains an `error`.
        """
        ...

    def log_path(self, member: MemberName) -> Path:
        """Return the path of the member's log. The file need not exist."""
        ...

    def trace_path(self, member: MemberName) -> Path | None:
        """Return the path of the member's write-path trace; None if the system writes no trace."""
        ...

    def data_path(self, member: MemberName) -> Path:
        """Return the path of the member's data folder. The folder need not exist."""
        ...

    def versions(self) -> Mapping[str, str]:
        """Return what is needed to repeat the run, such as the version and path of the binary."""
        ...
