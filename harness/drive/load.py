"""The load of a run: every client sends its operations in order, and all of them are recorded.

The load is the same for all stores, but two things occur only with stores that serve etcd's API.
Users need tokens for their requests. Some transactions need a read before them.
"""

from __future__ import annotations

from collections.abc import Awaitable

from splitbrain.harness.drive.client_loops import ClientLoops
from splitbrain.harness.drive.last_seen import LastSeen
from splitbrain.harness.drive.member_choice import LeaderPoll, choose_member
from splitbrain.harness.drive.process_numbers import next_process
from splitbrain.harness.drive.sessions import Sessions
from splitbrain.harness.schedule.operation import ScheduledOperation
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.histories.auth import Authenticate
from splitbrain.histories.service_operation import AnyRequest
from splitbrain.nemesis.injection.operation_trigger import Triggers

LOOK = "look"
"""The `f` of the read that a client sends before an operation that depends on it."""
LOG_IN = "log_in"
"""The `f` of the request with which a client gets a token, before a request of a user."""


class Load(ClientLoops):
    """The clients of a schedule, and their operations on any store."""

    def __init__(
        self, *, schedule: Schedule, sessions: Sessions, leader: LeaderPoll,
        triggers: Triggers | None = None,
    ) -> None:
        super().__init__(schedule, triggers)
        self._sessions = sessions
        self._leader = leader

    def _operate(
        self, process: int, scheduled: ScheduledOperation, seen: LastSeen
    ) -> Awaitable[int]:
        member = self._sessions.member_of(process) or choose_member(
            scheduled, self._schedule.members, self._leader.name
        )
        if scheduled.user or scheduled.append_to_seen:
            return self._prepare_and_send(process, scheduled, member, seen)
        return self._send(process, scheduled.f, seen.request(scheduled), member, seen)

    async def _prepare_and_send(
        self, process: int, scheduled: ScheduledOperation, member: str, seen: LastSeen
    ) -> int:
        """Send one operation, and return the process number of the client's next operation.

        The client first logs in if it must (`Logins`). Before a transaction that appends to lists,
        the lists are read (`LastSeen.look`). If the login or the read does not succeed, the
        operation is not sent.
        """
        if seen.logins.lacks(scheduled.user):
            login = Authenticate(scheduled.user, scheduled.password)
            process = await self._send(process, LOG_IN, login, member, seen, scheduled.user)
            if seen.logins.lacks(scheduled.user):
                return process
        if (look := seen.look(scheduled)) is not None:
            process = await self._send(process, LOOK, look, member, seen)
            if not seen.succeeded:
                return process
        return await self._send(
            process, scheduled.f, seen.request(scheduled), member, seen, scheduled.user
        )

    async def _send(
        self, process: int, f: str, request: AnyRequest, member: str, seen: LastSeen,
        user: str = "",
    ) -> int:
        """Send and record one operation.

        Returns the process number of the client's next operation.
        """
        counts = self.counts
        counts.begun += 1
        completion = await self._sessions.invoke(process, f, request, member)
        counts.outcomes[completion.outcome] += 1
        if completion.outcome == "ok":
            seen.succeeded = True
            seen.observe(request, completion.result)
            return process
        seen.succeeded = False
        seen.logins.refused(user, completion.error)
        return next_process(process, completion, clients=len(self._schedule.clients))
