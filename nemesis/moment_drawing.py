"""Draws the moments, such as an election, for which some faults of a schedule wait."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

import msgspec

from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import ScheduledFault, WaitingFault
from splitbrain.nemesis.moment import MOMENT_EVENTS, Moment, MomentEvent

AIMED_SHARE = 0.7
"""The share of faults that wait for a moment."""
_VISITS = (1, 1, 1, 2, 3)
_OPERATIONS = (1, 20, 100)


def parse_aims(text: str) -> tuple[MomentEvent, ...]:
    """Return the events that `text` names, such as "election,fault"; () for "none".

    Raises FaultError for a name that is not an event.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    return checked_aims([] if names == ["none"] else names)


def checked_aims(names: Sequence[str]) -> tuple[MomentEvent, ...]:
    """Return the events with these names. Raises FaultError for a name that is not an event."""
    for name in names:
        if name not in MOMENT_EVENTS:
            raise FaultError(
                f"no fault can wait for {name!r}: expected {', '.join(MOMENT_EVENTS)} (one or "
                "several, separated by commas), or none"
            )
    return tuple(event for event in MOMENT_EVENTS if event in names)


def aimed(
    faults: Sequence[ScheduledFault], aims: Sequence[MomentEvent], random: Random
) -> Iterator[ScheduledFault]:
    """Yield `faults`, some of them changed so that they wait for one of the events `aims`.

    Faults at a step of the write path or at a disk operation are not changed, because they already
    wait for the step or the operation. If the event is "fault", the fault waits for a fault of
    another kind. This event is not used if the schedule has only one kind of fault.
    """
    for one in faults:
        kind = _kind(one)
        others = sorted({_kind(other) for other in faults} - {kind})
        possible = [event for event in aims if event != "fault" or others]
        share = random.random()
        event: MomentEvent = random.choice(possible) if possible else "election"
        visit, operations = random.choice(_VISITS), random.choice(_OPERATIONS)
        of = random.choice(others) if others and event == "fault" else ""
        if not possible or share >= AIMED_SHARE or isinstance(one.fault, WaitingFault):
            yield one
        else:
            nth = operations if event == "operation" else visit
            yield msgspec.structs.replace(one, when=Moment(event, nth, of))


def _kind(one: ScheduledFault) -> str:
    return str(type(one.fault).__struct_config__.tag)
