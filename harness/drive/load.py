"""The load of a run: every client sends its operations in order, and all are recorded."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Protocol

from splitbrain.harness.clients.completion import Completion
from splitbrain.harness.clients.messages import Status
from splitbrain.harness.drive.client_loops import ClientLoops
from splitbrain.harness.drive.last_seen import LastSeen
from splitbrain.harness.schedule.operation import ScheduledOperation
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.systems.system import System
from splitbrain.histories.auth import Authenticate
from splitbrain.histories.recorder import Recorder
from splitbrain.histories.service import AnyRequest
from splitbrain.nemesis.injection.trigger import Triggers

LOOK = "look"
"""The `f` of the read that a client sends before an operation that depends on it."""
LOG_IN = "log_in"
"""The `f` of the request with which a client gets a token, before a request of a user."""


class Client(Protocol):
    """Sends requests to members, and determines their outcomes."""

    async def call(self, url: str, request: AnyRequest) -> Completion: ...

    async def status(self, url: str) -> Status | None:
        """Return the member's status, or None if it does not answer."""
        ...


class LeaderPoll:
    """Asks the system for its leader at regular intervals, so that operations need not ask."""

    PERIOD_S = 0.2

    def __init__(self, system: System) -> None:
        self._system = system
        self.name: str | None = None
        """The leader at the last poll, or None if there was none."""

    async def run(self) -> None:
        """Ask again and again, until the task is cancelled."""
        while True:
            with contextlib.suppress(Exception):  # then the last known leader is kept
                self.name = await self._system.leader()
            await asyncio.sleep(self.PERIOD_S)


class Load(ClientLoops):
    """The clients of a schedule, and their requests to a system that serves etcd's API."""

    def __init__(
        self,
        *,
        schedule: Schedule,
        system: System,
        client: Client,
        recorder: Recorder,
        leader: LeaderPoll,
        triggers: Triggers | None = None,
    ) -> None:
        super().__init__(schedule, triggers)
        self._system = system
        self._client = client
        self._recorder = recorder
        self._leader = leader

    async def _operate(self, process: int, scheduled: ScheduledOperation, seen: LastSeen) -> int:
        """Send one operation, and return the process number of the client's next operation.

        The client first logs in if it must (`Logins`). Before a transaction that appends to lists,
        it reads the lists (`LastSeen.look`). If the login or the read does not succeed, the
        operation is not sent.
        """
        member = choose_member(scheduled, self._schedule.members, self._leader.name)
        if seen.logins.lacks(scheduled.user):
            login = Authenticate(scheduled.user, scheduled.password)
            process, _ = await self._send(process, LOG_IN, login, member, seen, scheduled.user)
            if seen.logins.lacks(scheduled.user):
                return process
        look = seen.look(scheduled)
        if look is not None:
            process, succeeded = await self._send(process, LOOK, look, member, seen)
            if not succeeded:
                return process
        process, _ = await self._send(
            process, scheduled.f, seen.request(scheduled), member, seen, scheduled.user
        )
        return process

    async def _send(
        self, process: int, f: str, request: AnyRequest, member: str, seen: LastSeen,
        user: str = "",
    ) -> tuple[int, bool]:
        """Send `request` to `member` and record it as an operation of `process`.

        Returns the process number of the next operation, and whether the outcome was `ok`.
        """
        url = self._system.address(member).client_url
        self.counts.begun += 1
        self._recorder.invoke(process, f, request, member)
        try:
            completion = await self._client.call(url, request)
        except asyncio.CancelledError:
            self._recorder.info(process, f, member, "the run was stopped")
            raise
        retired = record(self._recorder, process, f, member, completion)
        self.counts.outcomes[completion.outcome] += 1
        if completion.result is not None:
            seen.observe(request, completion.result)
        else:
            seen.logins.refused(user, completion.error)
        seen.succeeded = completion.outcome == "ok"
        next_process = process + len(self._schedule.clients) if retired else process
        return next_process, seen.succeeded


def choose_member(scheduled: ScheduledOperation, members: Sequence[str], leader: str | None) -> str:
    """Return the member to which `scheduled` is sent.

    `leader` is the present leader, or None if it is unknown.
    """
    if scheduled.to_follower and leader is not None and len(members) > 1:
        followers = [member for member in members if member != leader]
        return followers[scheduled.member % len(followers)]
    return members[scheduled.member % len(members)]


def record(
    recorder: Recorder, process: int, f: str, member: str, completion: Completion
) -> bool:
    """Record the completion of an operation of `process` that was sent to `member`.

    Returns True if the outcome is `info`. The process must then not invoke another operation.
    """
    if completion.outcome == "ok" and completion.result is not None:
        recorder.ok(process, f, completion.result, member)
        return False
    if completion.outcome == "fail":
        recorder.fail(process, f, member, completion.error)
        return False
    recorder.info(process, f, member, completion.error)
    return True
