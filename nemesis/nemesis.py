"""The nemesis: injects the faults of a schedule at their times, and heals each at its end.

All waiting uses the time of the event loop, so that the nemesis also runs on a loop of virtual
time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from splitbrain.histories.random_stream import stream
from splitbrain.nemesis.capabilities import HasLeader
from splitbrain.nemesis.fault import AtStep, Fault, ScheduledFault, WaitingFault
from splitbrain.nemesis.fault_events import FaultEvents, Record, name_of
from splitbrain.nemesis.fault_target import MemberName
from splitbrain.nemesis.healing import heal_all
from splitbrain.nemesis.injection.all_injectors import inject
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce
from splitbrain.nemesis.injection.inject import Injected
from splitbrain.nemesis.injection.moments import Moments
from splitbrain.nemesis.injection.operation_trigger import Trigger, Triggers
from splitbrain.nemesis.injection.step import arm


@dataclass(frozen=True, slots=True)
class CurrentFault:
    """A fault that is in force at present, for the display of progress."""

    number: int
    name: str
    fault: Fault
    members: tuple[MemberName, ...]
    end_ms: int


class Nemesis:
    """Injects and heals the faults of one run.

    `now_ms` returns the ms since the load began, by the clock of the event loop. `record` is called
    with each phase of each fault.
    """

    def __init__(
        self,
        schedule: Sequence[ScheduledFault],
        system: HasLeader,
        record: Record,
        now_ms: Callable[[], float],
    ) -> None:
        self._schedule = tuple(schedule)
        self._in_force = FaultsInForce(system)
        self._events = FaultEvents(self._schedule, record)
        self._now_ms = now_ms
        self.triggers = Triggers()
        """The load announces each operation of the schedule here before the operation begins."""
        self._trigger: dict[int, Trigger] = {
            number: self.triggers.add(scheduled.fault.operation)
            for number, scheduled in enumerate(self._schedule)
            if isinstance(scheduled.fault, AtStep) and scheduled.fault.operation
        }
        self.triggers.counts_operations = any(
            one.when is not None and one.when.event == "operation" for one in self._schedule
        )
        self._moments = Moments(system, self.triggers)

    async def run(self) -> None:
        """Inject and heal every fault at its time. Returns when the last fault is healed.

        If a fault fails, the failure is recorded, and the other faults continue. If the call is
        cancelled, the faults in force stay; `heal_all` heals them.
        """
        tasks = [
            asyncio.create_task(self._run_fault(number, scheduled), name=f"fault {number}")
            for number, scheduled in enumerate(self._schedule)
        ]
        try:
            for task in tasks:
                await task
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                await _wait_for_end(task)

    async def heal_all(self, healed: Callable[[], None] = lambda: None) -> None:
        """Heal all faults in force, as `splitbrain.nemesis.healing.heal_all` does.

        This method may be called several times, after `run` has ended or was cancelled.
        """
        await heal_all(self._in_force, self._events, healed)

    def current(self) -> tuple[CurrentFault, ...]:
        """Return the faults in force at this time, in the order of the schedule."""
        return tuple(
            CurrentFault(
                number=number,
                name=name_of(scheduled.fault),
                fault=scheduled.fault,
                members=self._events.injected[number].members,
                end_ms=scheduled.end_ms,
            )
            for number, scheduled in enumerate(self._schedule)
            if number in self._events.injected
        )

    async def _run_fault(self, number: int, scheduled: ScheduledFault) -> None:
        if (trigger := self._trigger.get(number)) is not None:
            await trigger.due.wait()
        else:
            await self._sleep_until(scheduled.begin_ms)
        try:
            if scheduled.when is not None and trigger is None:
                await self._moments.wait(scheduled.when)
            self._events.record(number, "begin")
            injected = await self._inject(scheduled, trigger)
        except Exception as problem:
            self._events.record_failure(number, problem)
            del self._events.unhealed[number]
            return
        self._events.injected[number] = injected
        self._moments.fault_began(name_of(scheduled.fault))
        self._events.record(number, "began")
        await self._sleep_until(self._end_ms(scheduled))
        self._events.record(number, "end")
        try:
            await injected.undo()
        except Exception as problem:
            # A part of the fault may still be in force. `heal_all` tries to heal it again.
            self._events.record_failure(number, problem)
        else:
            self._events.record(number, "ended")
            del self._events.injected[number]

    async def _inject(self, scheduled: ScheduledFault, trigger: Trigger | None) -> Injected:
        # The label "aim" must stay, because another label would change every draw.
        random = stream(scheduled.seed, "aim")
        if not isinstance(scheduled.fault, AtStep):
            return await inject(scheduled.fault, self._in_force, random)
        try:
            duration_ms = scheduled.end_ms - scheduled.begin_ms
            armed = await arm(scheduled.fault, self._in_force, random, sleep_ms=duration_ms)
        finally:
            if trigger is not None:
                trigger.armed.set()
        return await armed.inject_when_reached()

    def _end_ms(self, scheduled: ScheduledFault) -> float:
        """Return when to heal a fault that has just begun, in ms since the load began.

        A fault at a step, at a disk operation or at a moment lasts for its scheduled duration from
        now, because this place or moment was just reached. A fault with the action `sleep` has no
        end, because its step may be reached at any later time. `heal_all` clears its failpoint
        after the load.
        """
        if not isinstance(scheduled.fault, WaitingFault) and scheduled.when is None:
            return scheduled.end_ms
        if isinstance(scheduled.fault, AtStep) and scheduled.fault.do == "sleep":
            return float("inf")
        return self._now_ms() + scheduled.end_ms - scheduled.begin_ms

    async def _sleep_until(self, at_ms: float) -> None:
        while (left_ms := at_ms - self._now_ms()) > 0:  # noqa: ASYNC110 - time, not an event
            await asyncio.sleep(min(left_ms, 3_600_000) / 1000)


async def _wait_for_end(task: asyncio.Task[None]) -> None:
    """Wait until a cancelled task has ended, without raising its CancelledError here."""
    while not task.done():
        await asyncio.wait([task])
