"""What can be done to a system: the small protocols that a fault asks for.

They stand here, below the harness, because the hands that inflict faults need them
and know nothing else of a system. `splitbrain.harness.systems.system` re-exports them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import msgspec

from splitbrain.nemesis.fault import MemberName


class LinkState(msgspec.Struct, frozen=True):
    """What the directed link from one member to another does with bytes.

    `open` False on both links of a pair breaks its connections and refuses new ones;
    on one of them alone it holds bytes of that direction back, as `black_hole` does,
    since a TCP connection cannot be broken in one direction. `black_hole` keeps
    connections and passes nothing on. What was held back arrives late, in order,
    once the link is normal again, as TCP's retransmission would have it. `delay_ms`
    plus or minus `jitter_ms` holds each chunk of bytes up, in order, at no more than
    `rate_bytes_per_s` (0: no limit) for all connections of the link together.
    """

    open: bool = True
    black_hole: bool = False
    delay_ms: int = 0
    jitter_ms: int = 0
    rate_bytes_per_s: int = 0


NORMAL = LinkState()
"""A link that nothing is done to."""


class Led(Protocol):
    """A cluster that faults can be aimed at."""

    @property
    def members(self) -> Sequence[MemberName]: ...

    async def leader(self) -> MemberName | None:
        """Who leads in the highest term that a member reports now, or None."""
        ...


@runtime_checkable
class Killable(Protocol):
    async def kill(self, member: MemberName) -> None:
        """SIGKILL, by its process id; a member that is not running stays so."""
        ...

    async def restart(self, member: MemberName) -> None:
        """Start it again on its data; returns when its process runs, not when it serves."""
        ...


@runtime_checkable
class Pausable(Protocol):
    async def pause(self, member: MemberName) -> None:
        """SIGSTOP; a member that is not running stays so."""
        ...

    async def resume(self, member: MemberName) -> None:
        """SIGCONT; harmless to a member that is not paused or not running."""
        ...


@runtime_checkable
class Partitionable(Protocol):
    async def set_link(self, source: MemberName, target: MemberName, state: LinkState) -> None:
        """What `source` sends to `target` from now on fares so; in force on return."""
        ...


class DiskState(msgspec.Struct, frozen=True):
    """What is wrong with a member's disk. Percentages are of operations, each on its own.

    A failed sync says so, and nothing is known of what it covered; `lying` syncs say
    that all is well and make nothing durable; a misdirected write lands elsewhere in
    its file. A correct store survives the first four on any number of members (it
    stops where it cannot go on); of a lying disk or misdirected writes it can at best
    tell, afterwards, that something is wrong.
    """

    slow_ms: int = 0
    """Added to each sync: twice as much at most, so much on average."""
    full: bool = False
    write_error_percent: float = 0.0
    sync_error_percent: float = 0.0
    read_error_percent: float = 0.0
    lying: bool = False
    misdirect_percent: float = 0.0


HEALTHY = DiskState()
"""A disk that nothing is done to."""


@runtime_checkable
class Powered(Protocol):
    async def lose_power(self, members: Sequence[MemberName]) -> None:
        """All of them at one moment: processes, page caches and what is not on disk are
        gone. `Killable.restart` brings each back."""
        ...


@runtime_checkable
class Clocked(Protocol):
    async def jump_clock(self, member: MemberName, ahead_ms: int) -> None:
        """Set its wall clock forward, or back."""
        ...

    async def drift_clock(self, member: MemberName, ppm: int) -> None:
        """Let all its clocks count faster (or slower) by millionths; 0 ends it."""
        ...


@runtime_checkable
class Disked(Protocol):
    async def set_disk(self, member: MemberName, state: DiskState) -> None:
        """What is wrong with its disk from now on."""
        ...

    async def rot(self, member: MemberName) -> str:
        """Flip one bit that is durable; where."""
        ...

    async def revive(self, member: MemberName) -> None:
        """Start it again if it stopped itself, as a supervisor would."""
        ...


@runtime_checkable
class Stepped(Protocol):
    """Its members have failpoints at the steps of the write path, see
    `splitbrain.node.failpoint`."""

    async def set_failpoint(self, member: MemberName, failpoint: str, term: str) -> None:
        """Raises FaultError if there is no such failpoint, or the member cannot be told."""
        ...

    async def clear_failpoint(self, member: MemberName, failpoint: str) -> None:
        """Nothing if the member cannot be told: one that starts has none set."""
        ...

    async def stands_at(self, member: MemberName, failpoint: str) -> None:
        """Returns when the member stands still at `failpoint`, which says `pause`."""
        ...
