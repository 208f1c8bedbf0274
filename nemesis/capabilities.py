"""What can be done to a system: the small protocols that a fault asks for.

They stand here, below the harness, because the hands that inflict faults need them
and know nothing else of a system. `harness.systems.system` re-exports them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import msgspec

from nemesis.fault import MemberName


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
