"""The load of a run: every client going through its operations, all of it recorded."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Protocol

from splitbrain.harness.clients.json_client import Completion
from splitbrain.harness.clients.messages import Status
from splitbrain.harness.drive.last_seen import LastSeen
from splitbrain.harness.drive.tally import Tally
from splitbrain.harness.schedule.operation import ClientOperations, ScheduledOperation
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.systems.system import System
from splitbrain.histories.recorder import Recorder
from splitbrain.histories.service import AnyRequest
from splitbrain.nemesis.injection.trigger import Triggers

CATCH_UP_MAX_S = 0.1
"""A client whose answers came late hurries to its planned times, but by no more than
this: a stall of seconds must not be followed by a burst of its operations."""


LOOK = "look"
"""The `f` of reads that an operation needs before it can be sent."""


class Client(Protocol):
    """Whatever sends a request to a member and says what became of it."""

    async def call(self, url: str, request: AnyRequest) -> Completion: ...

    async def status(self, url: str) -> Status | None:
        """None if it does not answer."""
        ...


class LeaderWatch:
    """Asks now and then who leads, so that no operation has to."""

    PERIOD_S = 0.2

    def __init__(self, system: System) -> None:
        self._system = system
        self.leader: str | None = None

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            with contextlib.suppress(Exception):  # not to know who leads is an answer here
                self.leader = await self._system.leader()
            await asyncio.sleep(self.PERIOD_S)


class Load:
    """The clients of a plan, driving a system."""

    def __init__(
        self,
        schedule: Schedule,
        system: System,
        client: Client,
        recorder: Recorder,
        leader: Callable[[], str | None],
        triggers: Triggers | None = None,
    ) -> None:
        self.tally = Tally()
        self._schedule = schedule
        self._system = system
        self._client = client
        self._recorder = recorder
        self._leader = leader
        self._triggers = triggers or Triggers()
        """Faults that wait for an operation to begin."""
        self._numbers = schedule.operation_numbers() if self._triggers else ()
        self._stopping = False
        # In the order in which they went to sleep: a simulated run repeats it.
        self._sleeping: dict[asyncio.Task[None], None] = {}

    async def run(self) -> None:
        """Returns when every client is through, or at the time limit, or after `stop`;
        operations under way then still end, or run into their timeout."""
        loop = asyncio.get_running_loop()
        begin_s = loop.time()
        end_s = begin_s + self._schedule.time_limit_ms / 1000
        tasks = [
            loop.create_task(self._client_loop(number, planned, begin_s, end_s))
            for number, planned in enumerate(self._schedule.clients)
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
        """Begin no further operation. Safe to call at any time, more than once."""
        self._stopping = True
        for task in list(self._sleeping):
            task.cancel()

    async def _client_loop(
        self, number: int, plan: ClientOperations, begin_s: float, end_s: float
    ) -> None:
        loop = asyncio.get_running_loop()
        process = number
        seen = LastSeen()
        due_s = begin_s
        for place, planned in enumerate(plan.operations):
            now_s = loop.time()
            due_s = max(due_s + planned.think_us / 1e6, now_s - CATCH_UP_MAX_S)
            if due_s > now_s and not await self._sleep(due_s - now_s):
                return
            if self._stopping or loop.time() >= end_s:
                return
            if planned.after_ok and not seen.went_well:
                continue
            if self._triggers:
                await self._triggers.announce(self._numbers[number][place])
            process = await self._operate(process, planned, seen)

    async def _sleep(self, seconds: float) -> bool:
        """False if the load was stopped meanwhile."""
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

    async def _operate(self, process: int, planned: ScheduledOperation, seen: LastSeen) -> int:
        """Send one operation, and before it what it has to look at; the process number for the
        next one."""
        member = choose_member(planned, self._schedule.members, self._leader())
        look = seen.look(planned)
        if look is not None:
            process, answered = await self._send(process, LOOK, look, member, seen)
            if not answered:
                return process
        process, _ = await self._send(process, planned.f, seen.request(planned), member, seen)
        return process

    async def _send(
        self, process: int, f: str, request: AnyRequest, member: str, seen: LastSeen
    ) -> tuple[int, bool]:
        """Record both ends; the process number for the next one, and whether it was answered."""
        url = self._system.address(member).client_url
        self.tally.begun += 1
        self._recorder.invoke(process, f, request, member)
        try:
            completion = await self._client.call(url, request)
        except asyncio.CancelledError:
            self._recorder.info(process, f, member, "the run broke off")
            raise
        retired = record(self._recorder, process, f, member, completion)
        self.tally.outcomes[completion.outcome] += 1
        if completion.result is not None:
            seen.observe(request, completion.result)
        answered = seen.went_well = completion.outcome == "ok"
        return (process + len(self._schedule.clients) if retired else process), answered


def choose_member(planned: ScheduledOperation, members: Sequence[str], leader: str | None) -> str:
    """The member that an operation goes to, given who leads now (None: not known)."""
    if planned.to_follower and leader is not None and len(members) > 1:
        followers = [member for member in members if member != leader]
        return followers[planned.member % len(followers)]
    return members[planned.member % len(members)]


def record(
    recorder: Recorder, process: int, f: str, member: str, completion: Completion
) -> bool:
    """Record how an operation ended; whether its process is retired."""
    if completion.outcome == "ok" and completion.result is not None:
        recorder.ok(process, f, completion.result, member)
        return False
    if completion.outcome == "fail":
        recorder.fail(process, f, member, completion.error)
        return False
    recorder.info(process, f, member, completion.error)
    return True
