"""Writes trace events and executes failpoints for the steps of the write path.

The server calls `before(step)` and `after(step, …)` around each of the eleven steps. `after` means
that the step is done: `leader_wal` is traced when the sync has returned. A trace event is in the
page cache before the effect of the step can leave the member. So the trace of a killed member
contains every step that other members can have observed.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from splitbrain.node.failpoint import Failpoints
from splitbrain.node.raft.message import ConfState, MemberId, Term
from splitbrain.node.world import World


class TraceEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of `trace.jsonl`, described in docs/reference/write-path.md.

    `request` is 0 if the step does not belong to a client's request. `carrier` is the
    protocol of the client's request ("grpc" or "json"). Only the first and the last step have it.
    """

    member: str
    step: str
    ns: int
    request: int = 0
    term: int = 0
    index: int = 0
    revision: int = 0
    peer: str = ""
    carrier: str = ""
    member_id: MemberId = 0
    voters: tuple[tuple[MemberId, ...], ...] = ()
    vote: MemberId = 0


class Traced(msgspec.Struct, frozen=True):
    """Identifies what a trace event is about: a request, and its log entry if it has one."""

    request: int = 0
    term: int = 0
    index: int = 0


class WritePath:
    """Writes the trace of one member, and executes its failpoints.

    `observed` is False while tracing and failpoints are off. The member then collects no data for
    them.
    """

    def __init__(self, world: World, member: str, failpoints: Failpoints, *, tracing: bool) -> None:
        self._world = world
        self._member = member
        self.failpoints = failpoints
        self.tracing = tracing
        self._encode = msgspec.json.Encoder().encode

    @property
    def observed(self) -> bool:
        return self.tracing or self.failpoints.armed

    async def before(self, step: str) -> None:
        """Execute the failpoint before `step`. Raises FailpointError."""
        if self.failpoints.armed:
            await self.failpoints.reach(f"before_{step}")

    async def after(
        self, step: str, subject: Traced, *, revision: int = 0, peer: str = "", carrier: str = ""
    ) -> None:
        """Write the trace event of a step that is done, and execute the failpoint after it.

        `subject` is the request to which the step belongs. Raises FailpointError.
        """
        self.trace(step, subject, revision=revision, peer=peer, carrier=carrier)
        await self.reached_after(step)

    async def reached_after(self, step: str) -> None:
        """Execute the failpoint after `step`, which was traced separately."""
        if self.failpoints.armed:
            await self.failpoints.reach(f"after_{step}")

    async def after_each(self, step: str, subjects: Iterable[Traced], *, peer: str = "") -> None:
        """Do what `after` does, for a step that has processed several entries at once."""
        for subject in subjects:
            self.trace(step, subject, peer=peer)
        await self.reached_after(step)

    def trace_configuration(
        self,
        step: str,
        subject: Traced,
        conf_state: ConfState,
        *,
        member_id: MemberId = 0,
        vote: MemberId = 0,
        revision: int = 0,
        peer: str = "",
    ) -> None:
        """Write the event of a change of the configuration, with its voters, if tracing is on."""
        if self.tracing:
            groups = (conf_state.voters, conf_state.voters_outgoing)
            event = TraceEvent(
                self._member, step, self._world.clock.trace_ns(), term=subject.term,
                index=subject.index, revision=revision, peer=peer, member_id=member_id,
                voters=tuple(filter(None, groups)), vote=vote,
            )
            self._world.trace(self._encode(event) + b"\n")

    def trace_vote(self, term: Term, vote: MemberId, name: str) -> None:
        """Write the event that this member's vote in `term` is durable, if tracing is on."""
        if self.tracing:
            event = TraceEvent(
                self._member, "vote", self._world.clock.trace_ns(), term=term, peer=name, vote=vote
            )
            self._world.trace(self._encode(event) + b"\n")

    def trace(
        self, step: str, subject: Traced, *, revision: int = 0, peer: str = "", carrier: str = ""
    ) -> None:
        """Write the trace event of a step, if tracing is on."""
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
            carrier,
        )
        self._world.trace(self._encode(event) + b"\n")
