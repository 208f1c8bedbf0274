"""The load of a run: every client sends its operations in order, and all of them are recorded."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Protocol

from splitbrain.harness.clients.json_client import Completion
from splitbrain.harness.clients.messages import Status
from splitbrain.harness.drive.last_seen import LastSeen
from splitbrain.harness.drive.operation_counts import OperationCounts
from splitbrain.harness.schedule.operation import ClientOperations, ScheduledOperation
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.systems.system import System
from splitbrain.histories.recorder import Recorder
from splitbrain.histories.service import AnyRequest
from splitbrain.nemesis.injection.trigger import Triggers

CATCH_UP_MAX_S = 0.1
"""After late answers a client sends the next operations at once, until it has caught up with
its schedule. Delays beyond this limit are not caught up, so that a stall of seconds is not
followed by a burst of operations."""


LOOK = "look"
"""The function (`f`) of a read that a client sends before an operation that depends on it."""


class Client(Protocol):
    """Sends requests to members, and determines their outcomes."""

    async def call(self, url: str, request: AnyRequest) -> Completion: ...

    async def status(self, url: str) -> Status | None:
        """The member's status; None if it does not answer."""
        ...


class LeaderPoll:
    """Asks the system for its leader at regular intervals, so that operations need not ask."""

    PERIOD_S = 0.2

    def __init__(self, system: System) -> None:
        self._system = system
        self.name: str | None = None
        """The leader at the last poll; None if there was none."""

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            with contextlib.suppress(Exception):  # then the last known leader is kept
                self.name = await self._system.leader()
            await asyncio.sleep(self.PERIOD_S)


class Load:
    """The clients of a schedule, and their operations on a system."""

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
        self.counts = OperationCounts()
        self._schedule = schedule
        self._system = system
        self._client = client
        self._recorder = recorder
        self._leader = leader
        self._triggers = triggers or Triggers()
        """The faults that begin with an operation."""
        self._numbers = schedule.operation_numbers() if self._triggers else ()
        self._stopping = False
        # A dict keeps the order in which the tasks fell asleep; a set would have no order
        # that a simulated run repeats.
        self._sleeping: dict[asyncio.Task[None], None] = {}

    async def run(self) -> None:
        """Run the clients until all operations are sent, the time is over, or `stop` is called.

        Then wait for the pending operations.
        """
        loop = asyncio.get_running_loop()
        begin_s = loop.time()
        end_s = begin_s + self._schedule.time_limit_ms / 1000
        tasks = [
            loop.create_task(self._client_loop(number, client, begin_s, end_s))
            for number, client in enumerate(self._schedule.clients)
        ]
        timer = loop.call_at(end_s, self.stop)
        try:
            await asyncio.gather(*tasks)
        finally:
            timer.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def stop(self) -> None:
        """Begin no further operation. May be called at any time and more than once."""
        self._stopping = True
        for task in list(self._sleeping):
            task.cancel()

    async def _client_loop(
        self, number: int, client: ClientOperations, begin_s: float, end_s: float
    ) -> None:
        loop = asyncio.get_running_loop()
        process = number
        seen = LastSeen()
        due_s = begin_s
        for place, scheduled in enumerate(client.operations):
            now_s = loop.time()
            due_s = max(due_s + scheduled.think_us / 1e6, now_s - CATCH_UP_MAX_S)
            if due_s > now_s and not await self._sleep(due_s - now_s):
                return
            if self._stopping or loop.time() >= end_s:
                return
            if scheduled.after_ok and not seen.succeeded:
                continue
            if self._triggers:
                await self._triggers.announce(self._numbers[number][place])
            process = await self._operate(process, scheduled, seen)

    async def _sleep(self, seconds: float) -> bool:
        """Sleep, and return True; return False at once if the load is stopped."""
        task = asyncio.current_task()
        assert task is not None
        self._sleeping[task] = None
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            if self._stopping:
                return False
            raise
        finally:
            self._sleeping.pop(task, None)
        return True

    async def _operate(self, process: int, scheduled: ScheduledOperation, seen: LastSeen) -> int:
        """Send one operation, and return the process number of the client's next operation.

        Before a transaction that appends to lists, the lists are read (`LastSeen.look`). If the
        read does not succeed, the transaction is not sent.
        """
        member = choose_member(scheduled, self._schedule.members, self._leader.name)
        look = seen.look(scheduled)
        if look is not None:
            process, succeeded = await self._send(process, LOOK, look, member, seen)
            if not succeeded:
                return process
        process, _ = await self._send(process, scheduled.f, seen.request(scheduled), member, seen)
        return process

    async def _send(
        self, process: int, f: str, request: AnyRequest, member: str, seen: LastSeen
    ) -> tuple[int, bool]:
        """Send and record one operation.

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
        seen.succeeded = completion.outcome == "ok"
        next_process = process + len(self._schedule.clients) if retired else process
        return next_process, seen.succeeded


def choose_member(scheduled: ScheduledOperation, members: Sequence[str], leader: str | None) -> str:
    """The member to which an operation is sent. `leader` is the present leader, None if unknown."""
    if scheduled.to_follower and leader is not None and len(members) > 1:
        followers = [member for member in members if member != leader]
        return followers[scheduled.member % len(followers)]
    return members[scheduled.member % len(members)]


def record(
    recorder: Recorder, process: int, f: str, member: str, completion: Completion
) -> bool:
    """Record the outcome of an operation.

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
