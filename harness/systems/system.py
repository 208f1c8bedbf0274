"""The interface of a system under test: `System`, and small optional protocols.

A system supports a kind of faults by implementing a protocol such as `Killable`, `Pausable` or
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
from splitbrain.harness.systems.crash import Crash
from splitbrain.harness.systems.tls_probe import TlsProbe
from splitbrain.histories.member_state import MemberState
from splitbrain.nemesis.capabilities import Killable, LinkState, Partitionable, Pausable
from splitbrain.nemesis.fault import MemberName

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
        """One crash for each member that ended by itself since the system started.

        The crashes are in the order in which the system noticed them. The method is called several
        times a second, and each result contains all earlier ones. In place of a `Crash`, a text
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
        """Return the certificates of its clients, valid after `start`. None: the members have no TLS."""
        ...

    async def probe_tls(self) -> Sequence[TlsProbe]:
        """Test which connections the members accept; empty if they have no TLS."""
        ...


def tls_of(system: object) -> ClientTls | None:
    """Return the certificates of the system's clients, or None if its members have no TLS."""
    return system.tls if isinstance(system, Encrypted) else None


@runtime_checkable
class AdverseConditions(Protocol):
    """A system that can have adverse conditions on its healthy links, disks and members."""

    @property
    def has_adverse_conditions(self) -> bool:
        """Return whether links lose or delay frames, or rare conditions are made likely."""
        ...

    def end_adverse_conditions(self) -> None:
        """Make links and disks ideal, and rare conditions rare, from now on."""
        ...


@runtime_checkable
class ServingMembers(Protocol):
    """A system of which only some members serve writes and linearizable reads.

    After all faults are healed, each of these members must answer both. For a system without this
    protocol, all members must.
    """

    def serving_members(self) -> Sequence[MemberName]:
        """Return the members that serve. It is called once, at the end of a run."""
        ...


@runtime_checkable
class HasHealth(Protocol):
    """A system that can tell whether a member serves."""

    def healthy(self, member: MemberName) -> Awaitable[bool] | bool:
        """Return whether the member serves. It may raise, which means that it does not."""
        ...


class AnySystem(Protocol):
    """What every system must have. It suffices for a store that is tested by a user's client.

    All methods are called in one asyncio loop. `splitbrain.harness.systems.optional` provides the
    other methods of `System` for a class that lacks them.
    """

    @property
    def members(self) -> Sequence[MemberName]:
        """Return the names of the members in a fixed order, which are known before `start`."""
        ...

    async def start(self) -> None:
        """Start every member and wait until they serve requests. Raises SystemFailed."""
        ...

    async def stop(self) -> None:
        """End every process. It is called in any state, and may be called twice."""
        ...

    def address(self, member: MemberName) -> Address:
        """Return the URLs of a member, valid after `start`."""
        ...


class System(AnySystem, Protocol):
    """A cluster of members on this machine, each with its own folder."""

    name: str

    def alive(self, member: MemberName) -> bool:
        """Return whether the member's process runs. A paused process runs."""
        ...

    async def leader(self) -> MemberName | None:
        """Return the leader of the highest term that a member reports at this time, or None."""
        ...

    async def state(self, member: MemberName, at_revision: int | None = None) -> MemberState:
        """Read the status, HashKV at `at_revision` (None: the present one) and the change log.

        Returns a state with an `error` if the member cannot be read; it does not raise.
        """
        ...

    def log_path(self, member: MemberName) -> Path:
        """Return the file with the member's output; it need not exist."""
        ...

    def trace_path(self, member: MemberName) -> Path | None:
        """Return the member's write-path trace, or None if the system writes no trace."""
        ...

    def data_path(self, member: MemberName) -> Path:
        """Return the folder with the member's data; it need not exist."""
        ...

    def versions(self) -> Mapping[str, str]:
        """Return the data needed to repeat the run, for example the version and path of the binary."""
        ...
