"""Records the phases of the faults of a run as events of its history.

The phases of a fault are `begin`, `began`, `end` and `ended`, or `failed` after an error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from splitbrain.histories.event import FaultEvent, Phase
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import ScheduledFault, UserFault, WaitingFault
from splitbrain.nemesis.injection.inject import Injected

Record = Callable[[str, FaultEvent], None]
"""A function that records one event of a fault, whose name (such as "kill") is the first
argument."""


class FaultEvents:
    """The last recorded phase of each fault of `schedule`. `record` is called with each phase."""

    def __init__(self, schedule: Sequence[ScheduledFault], record: Record) -> None:
        self._schedule = tuple(schedule)
        self._record = record
        self.unhealed: dict[int, Phase] = {}
        """For each fault that has begun and is not healed: its last recorded phase."""
        self.injected: dict[int, Injected] = {}
        """The faults in force, by their numbers in the schedule."""

    def record(self, number: int, phase: Phase) -> None:
        """Record that the fault with this number in the schedule has reached `phase`."""
        self._record_event(number, phase, "")

    def record_failure(self, number: int, problem: Exception) -> None:
        """Record that `problem` was raised when this fault was injected or healed."""
        text = str(problem)
        if not isinstance(problem, FaultError):
            text = f"{type(problem).__name__}: {text}"
        self._record_event(number, "failed", text)

    def _record_event(self, number: int, phase: Phase, error: str) -> None:
        self.unhealed[number] = phase
        if phase == "ended":
            del self.unhealed[number]
        fault = self._schedule[number].fault
        injected = self.injected.get(number)
        effect_phase = "ended" if injected and injected.ends_with_undo else "end"
        self._record(
            name_of(fault),
            FaultEvent(
                fault=number,
                phase=phase,
                members=injected.members if injected else (),
                detail=msgspec.Raw(msgspec.json.encode(fault)),
                links=injected.links if injected else (),
                error=error,
                effect=self._effect(number) if phase == effect_phase else None,
            ),
        )

    def _effect(self, number: int) -> str | None:
        """Return what the fault has changed, as text; "" if nothing, None if that is unknown."""
        injected = self.injected.get(number)
        if injected is not None:
            return injected.effect()
        # A fault at a step or at a disk operation is injected only when a member reaches it.
        return "" if isinstance(self._schedule[number].fault, WaitingFault) else None


def name_of(fault: object) -> str:
    """Return the name of a fault in a history: its tag, such as "kill", or its class's name."""
    if isinstance(fault, UserFault):
        return fault.path.rpartition(":")[2]
    config = getattr(fault, "__struct_config__", None)
    tag = config.tag if config is not None else None
    return str(tag or type(fault).__name__.lower())
