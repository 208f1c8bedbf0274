"""What can be tested: a cluster behind small protocols.

A system says what can be done to it by the protocols that it has, `Killable`,
`Pausable`, `Partitionable`; a fault asks for the one that it needs, and a plan only
draws faults that the system can suffer. Real processes and the simulator differ
behind these protocols alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec

from splitbrain.histories.member_state import MemberState
from splitbrain.nemesis.capabilities import Killable, LinkState, Partitionable, Pausable
from splitbrain.nemesis.fault import MemberName

__all__ = [
    "Address", "CrashReporter", "Killable", "LinkState", "MemberName", "Partitionable", "Pausable",
    "System", "Weathered",
]


class Address(msgspec.Struct, frozen=True):
    """Where a member listens for clients, and for its peers (behind the proxies, if any)."""

    name: MemberName
    client_url: str
    peer_url: str


@runtime_checkable
class CrashReporter(Protocol):
    """A system whose members may end though nobody ended them, and that notices it."""

    def ended_by_themselves(self) -> Sequence[str]:
        """Since the start, one line for each: who, how, and what it said at last."""
        ...


@runtime_checkable
class Weathered(Protocol):
    """A system whose healthy links and members behave roughly, until it is calmed."""

    @property
    def rough(self) -> bool:
        """Whether anything is lost, held up or made rare that a calm system would do at once."""
        ...

    def calm(self) -> None:
        """From here on frames arrive, and no rare condition is made likely."""
        ...


class System(Protocol):
    """A cluster of members, started on loopback, in folders of its own.

    Every method is safe to call from one asyncio loop at a time. `stop` may be called
    in any state, any number of times, and leaves nothing running.
    """

    name: str

    @property
    def members(self) -> Sequence[MemberName]: ...

    async def start(self) -> None:
        """Start every member and wait until a leader serves. Raises SystemFailed."""
        ...

    async def stop(self) -> None: ...

    def address(self, member: MemberName) -> Address: ...

    def alive(self, member: MemberName) -> bool:
        """Whether the member's process runs (a paused one does)."""
        ...

    async def leader(self) -> MemberName | None:
        """Who leads in the highest term that a member reports now, or None."""
        ...

    async def state(self, member: MemberName, at_revision: int | None = None) -> MemberState:
        """Status, HashKV at `at_revision` (None: now) and the change log from revision 1."""
        ...

    def log_path(self, member: MemberName) -> Path: ...

    def trace_path(self, member: MemberName) -> Path | None:
        """The member's write-path trace, for systems that write one."""
        ...

    def data_path(self, member: MemberName) -> Path: ...

    def versions(self) -> Mapping[str, str]:
        """What must be known to run this again: binary, version, Python."""
        ...
