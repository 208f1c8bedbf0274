"""Runs a schedule of faults against a system, and tells what it does as it does it.

Everything waits on the loop's own time, so that the conductor also runs on a loop of
virtual time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from splitbrain.histories.event import FaultEvent, Phase
from splitbrain.histories.random_stream import stream
from splitbrain.nemesis.capabilities import Led
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import AtStep, Fault, MemberName, PlannedFault
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce
from splitbrain.nemesis.injection.inject import Injected
from splitbrain.nemesis.injection.machine import inject
from splitbrain.nemesis.injection.step import arm
from splitbrain.nemesis.injection.trigger import Trigger, Triggers

Record = Callable[[str, FaultEvent], None]
"""Takes the name of the fault ("kill") and what happens to it."""


@dataclass(frozen=True, slots=True)
class InForce:
    """A fault in force now, for whoever watches."""

    number: int
    name: str
    fault: Fault
    members: tuple[MemberName, ...]
    end_ms: int


class Nemesis:
    """One run's faults. `now_ms` tells ms since the load began, on the loop's clock."""

    def __init__(
        self,
        schedule: Sequence[PlannedFault],
        system: Led,
        record: Record,
        now_ms: Callable[[], float],
    ) -> None:
        self._schedule = tuple(schedule)
        self._in_force = FaultsInForce(system)
        self._record = record
        self._now_ms = now_ms
        self._unhealed: dict[int, Phase] = {}
        """Faults that have begun, and how far they got; those that healing failed for, too."""
        self._inflicted: dict[int, Injected] = {}
        self.triggers = Triggers()
        """For whoever begins the plan's operations."""
        self._trigger: dict[int, Trigger] = {
            number: self.triggers.wanted(planned.fault.operation)
            for number, planned in enumerate(self._schedule)
            if isinstance(planned.fault, AtStep) and planned.fault.operation
        }

    async def run(self) -> None:
        """Inflict and heal every fault at its time; returns when the last one is healed.

        A fault that fails is told of and given up; the others go on. Cancelled, it
        leaves what is in force as it is: `heal_all` ends that.
        """
        tasks = [
            asyncio.create_task(self._one(number, planned), name=f"fault {number}")
            for number, planned in enumerate(self._schedule)
        ]
        try:
            for task in tasks:
                await task
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                await _settled(task)

    async def heal_all(self) -> None:
        """End all faults in force: open all links, resume and restart members.

        Safe in any state and any number of times, once `run` has ended or been
        cancelled. Raises the first error that a member or link met, after all others
        have been tried.
        """
        unfinished = list(self._unhealed)
        for number in unfinished:
            if self._unhealed[number] in ("begin", "began"):
                self._tell(number, "end")
        try:
            await self._in_force.release_all()
        except Exception as problem:
            for number in unfinished:
                self._tell(number, "failed", error=_because(problem))
            raise
        for number in unfinished:
            self._tell(number, "ended")
        self._inflicted.clear()

    def current(self) -> tuple[InForce, ...]:
        """Faults in force now, in the order in which they were planned."""
        return tuple(
            InForce(
                number,
                name_of(planned.fault),
                planned.fault,
                self._inflicted[number].members,
                planned.end_ms,
            )
            for number, planned in enumerate(self._schedule)
            if number in self._inflicted
        )

    async def _one(self, number: int, planned: PlannedFault) -> None:
        if (trigger := self._trigger.get(number)) is not None:
            await trigger.due.wait()
        else:
            await self._until(planned.begin_ms)
        self._tell(number, "begin")
        try:
            inflicted = await self._begin(planned, trigger)
        except Exception as problem:
            self._tell(number, "failed", error=_because(problem))
            del self._unhealed[number]
            return
        self._inflicted[number] = inflicted
        self._tell(number, "began")
        await self._until(self._end_ms(planned))
        self._tell(number, "end")
        try:
            await inflicted.undo()
        except Exception as problem:
            # It may still be in force, in part: `heal_all` tries again.
            self._tell(number, "failed", error=_because(problem))
        else:
            self._tell(number, "ended")
            del self._inflicted[number]

    async def _begin(self, planned: PlannedFault, trigger: Trigger | None) -> Injected:
        random = stream(planned.seed, "aim")
        if not isinstance(planned.fault, AtStep):
            return await inject(planned.fault, self._in_force, random)
        try:
            hold_ms = planned.end_ms - planned.begin_ms
            armed = await arm(planned.fault, self._in_force, random, hold_ms)
        finally:
            if trigger is not None:
                trigger.armed.set()
        return await armed.come()

    def _end_ms(self, planned: PlannedFault) -> float:
        """A fault at a step holds from when the step was come to; a step that sleeps may
        still be to come, and is disarmed when all is healed."""
        if not isinstance(planned.fault, AtStep):
            return planned.end_ms
        if planned.fault.do == "sleep":
            return float("inf")
        return self._now_ms() + planned.end_ms - planned.begin_ms

    async def _until(self, at_ms: float) -> None:
        while (left_ms := at_ms - self._now_ms()) > 0:  # noqa: ASYNC110 - time, not an event
            await asyncio.sleep(min(left_ms, 3_600_000) / 1000)

    def _tell(self, number: int, phase: Phase, error: str = "") -> None:
        self._unhealed[number] = phase
        if phase == "ended":
            del self._unhealed[number]
        fault = self._schedule[number].fault
        hit = self._inflicted.get(number)
        self._record(
            name_of(fault),
            FaultEvent(
                fault=number,
                phase=phase,
                members=hit.members if hit else (),
                detail=msgspec.Raw(msgspec.json.encode(fault)),
                links=hit.links if hit else (),
                error=error,
            ),
        )


def name_of(fault: object) -> str:
    """The name under which a fault stands in a history: its tag."""
    config = getattr(fault, "__struct_config__", None)
    tag = config.tag if config is not None else None
    return str(tag or type(fault).__name__.lower())


def _because(problem: Exception) -> str:
    if isinstance(problem, FaultError):
        return str(problem)
    return f"{type(problem).__name__}: {problem}"


async def _settled(task: asyncio.Task[None]) -> None:
    """Wait for a task that was cancelled; its own cancellation is not ours."""
    while not task.done():
        await asyncio.wait([task])
