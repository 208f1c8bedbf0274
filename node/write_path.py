"""The write path's steps as they are seen from outside: traced, and stopped at.

The server calls `before(step)` and `after(step, …)` around each of the eleven steps.
An `after` says that the step is done: `leader_wal` is traced when the sync has
returned, not when it was asked for. A trace event is in the page cache before the
step's effect can leave the member, so that a killed member's trace lacks nothing
that others could have seen.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from splitbrain.node.failpoint import Failpoints
from splitbrain.node.world import World


class TraceEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of `trace.jsonl`; see ARCHITECTURE.md. `request` 0: no client's request."""

    member: str
    step: str
    ns: int
    request: int = 0
    term: int = 0
    index: int = 0
    revision: int = 0
    peer: str = ""


class Traced(msgspec.Struct, frozen=True):
    """What a step was done to: a request, and its entry once it has one."""

    request: int = 0
    term: int = 0
    index: int = 0


class WritePath:
    """`watched` is False while neither tracing nor a failpoint is on: then nothing is
    gathered for either."""

    def __init__(self, world: World, member: str, failpoints: Failpoints, *, tracing: bool) -> None:
        self._world = world
        self._member = member
        self.failpoints = failpoints
        self.tracing = tracing
        self._encode = msgspec.json.Encoder().encode

    @property
    def watched(self) -> bool:
        return self.tracing or self.failpoints.armed

    async def before(self, step: str) -> None:
        """Raises FailpointError where the failpoint says so."""
        if self.failpoints.armed:
            await self.failpoints.reach(f"before_{step}")

    async def after(self, step: str, subject: Traced, *, revision: int = 0, peer: str = "") -> None:
        self.trace(step, subject, revision=revision, peer=peer)
        await self.reached_after(step)

    async def reached_after(self, step: str) -> None:
        """For a step that was traced by itself."""
        if self.failpoints.armed:
            await self.failpoints.reach(f"after_{step}")

    async def after_each(self, step: str, subjects: Iterable[Traced], *, peer: str = "") -> None:
        """The step was done to several entries at once (one sync, one message)."""
        for subject in subjects:
            self.trace(step, subject, peer=peer)
        await self.reached_after(step)

    def trace(self, step: str, subject: Traced, *, revision: int = 0, peer: str = "") -> None:
        """Write the event, if tracing is on."""
        if not self.tracing:
            return
        event = TraceEvent(
            self._member,
            step,
            self._world.clock.trace_ns(),
            subject.request,
            subject.term,
            subject.index,
            revision,
            peer,
        )
        self._world.trace(self._encode(event) + b"\n")
