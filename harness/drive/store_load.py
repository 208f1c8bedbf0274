"""The load of a run with a client of the user. Each process of the history has one connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from splitbrain.harness.clients.any_store.outcome import Outcome, of_answer, of_error
from splitbrain.harness.clients.any_store.session import Session, open_session
from splitbrain.harness.clients.any_store.store_client import Invocation
from splitbrain.harness.drive.client_loops import ClientLoops
from splitbrain.harness.drive.last_seen import LastSeen
from splitbrain.harness.drive.load import LeaderPoll, choose_member
from splitbrain.harness.schedule.operation import ScheduledOperation
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.systems.system import AnySystem
from splitbrain.harness.workloads.any_store.store_workload import StoreWorkload, only_reads
from splitbrain.histories.call import Call
from splitbrain.histories.recorder import Recorder
from splitbrain.nemesis.injection.trigger import Triggers

MakeClient = Callable[[], Any]


class Connections:
    """Executes and records calls, with one client of the user for each process of the history.

    A client stays connected to one member as long as its connection is usable. A process ends with
    its connection, so that the state of a session belongs to one process.
    """

    def __init__(
        self, *, system: AnySystem, make: MakeClient, recorder: Recorder,
        workload: StoreWorkload, timeout_ms: int,
    ) -> None:
        self._system = system
        self._make = make
        self._recorder = recorder
        self._keyed = bool(getattr(workload, "keyed", False))
        self._definite = tuple(getattr(getattr(make, "func", make), "definite", ()))
        self._timeout_s = timeout_ms / 1000
        self._sessions: dict[int, tuple[str, Session]] = {}

    def member_of(self, process: int) -> str | None:
        """Return the member to which `process` is connected, or None if it has no connection."""
        found = self._sessions.get(process)
        return found[0] if found else None

    async def call(self, process: int, f: str, value: Any, member: str) -> Outcome:
        """Execute and record one operation of `process`, which connects to `member` if needed.

        If the outcome is not `connected`, the process must not invoke another operation.
        """
        self._recorder.invoke(process, f, value, member)
        try:
            outcome = await self._outcome(process, f, value, member)
        except asyncio.CancelledError:
            self._recorder.info(process, f, member, "the run was stopped")
            raise
        if outcome.outcome == "ok":
            self._recorder.ok(process, f, outcome.value, member)
        elif outcome.outcome == "fail":
            self._recorder.fail(process, f, member, outcome.error)
        else:
            self._recorder.info(process, f, member, outcome.error)
        if not outcome.connected:
            await self.close(process)
        return outcome

    async def close(self, process: int) -> None:
        _, session = self._sessions.pop(process, ("", None))
        if session is not None:
            await session.close()

    async def close_all(self) -> None:
        """Close all connections, concurrently. A second call has no effect."""
        await asyncio.gather(*(self.close(process) for process in tuple(self._sessions)))

    async def _outcome(self, process: int, f: str, value: Any, member: str) -> Outcome:
        if process not in self._sessions:
            try:
                session = await open_session(
                    self._make, self._system.address(member), self._timeout_s
                )
            except Exception as problem:  # nothing was sent
                found = of_error(problem, self._definite, only_reads=True)
                return Outcome("fail", error=f"not connected: {found.error}", connected=False)
            self._sessions[process] = (member, session)
        key, argument = value if self._keyed else (None, value)
        try:
            answer = await self._sessions[process][1].invoke(Invocation(f, argument, key))
        except Exception as problem:
            return of_error(problem, self._definite, only_reads=only_reads(f, argument))
        outcome = of_answer(f, argument, answer)
        if self._keyed and outcome.outcome == "ok":
            return Outcome("ok", [key, outcome.value])
        return outcome


class StoreLoad(ClientLoops):
    """The clients of a schedule, which send their operations through clients of the user."""

    def __init__(
        self, *, schedule: Schedule, connections: Connections, leader: LeaderPoll,
        triggers: Triggers | None = None,
    ) -> None:
        super().__init__(schedule, triggers)
        self._connections = connections
        self._leader = leader

    async def _operate(self, process: int, scheduled: ScheduledOperation, seen: LastSeen) -> int:
        assert isinstance(scheduled.request, Call)
        connected = self._connections.member_of(process)
        member = connected or choose_member(scheduled, self._schedule.members, self._leader.name)
        self.counts.begun += 1
        outcome = await self._connections.call(
            process, scheduled.f, scheduled.request.value, member
        )
        self.counts.outcomes[outcome.outcome] += 1
        seen.succeeded = outcome.outcome == "ok"
        return process if outcome.connected else process + len(self._schedule.clients)
