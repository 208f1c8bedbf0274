"""Finds the windows of time in which faults were in force, from the events of the nemesis."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from splitbrain.histories.event import NEMESIS, Event, FaultEvent


@dataclass(frozen=True, slots=True)
class FaultWindow:
    """One fault, from the start of its injection to its healing.

    `begin` and `end` are in ns since the start of the run. `end` is None if the fault was
    never healed. `f` is the fault's name, `detail` the fault as JSON.
    """

    fault: int
    f: str
    members: tuple[str, ...]
    begin: int
    end: int | None
    detail: msgspec.Raw = field(default_factory=lambda: msgspec.Raw(b"null"))
    failed: str = ""
    """The reason why the fault could not be injected or healed, or ""."""
    effect: str | None = None
    """What the fault changed, in words; "" if it changed nothing, None if that is unknown."""

    def overlaps(self, begin: int, end: int) -> bool:
        """Return whether the fault was in force at any time from `begin` to `end`, in ns."""
        return self.begin <= end and (self.end is None or self.end >= begin)


def disturbed(faults: Iterable[FaultWindow], begin: int, end: int) -> bool:
    """Return whether one of `faults` was in force at any time from `begin` to `end`, in ns.

    The adverse conditions of a simulated run, which last for the whole run, do not count.
    """
    return any(one.f != "adverse_conditions" and one.overlaps(begin, end) for one in faults)


def fault_windows(events: Iterable[Event]) -> list[FaultWindow]:
    """Return the faults among `events`, in the order in which they began.

    Events of clients are skipped.
    """
    decoder = msgspec.json.Decoder(FaultEvent)
    windows: dict[int, FaultWindow] = {}
    in_force: set[int] = set()
    for event in events:
        if event.process != NEMESIS:
            continue
        try:
            value = decoder.decode(event.value)
        except msgspec.MsgspecError:
            continue  # an event of another tool's nemesis, which has no phases
        window = windows.get(value.fault)
        if window is None:
            windows[value.fault] = FaultWindow(
                fault=value.fault, f=event.f, members=value.members, begin=event.time, end=None,
                detail=value.detail,
            )
            continue
        if value.phase == "began":
            in_force.add(value.fault)
        # A fault that could not be injected ends at once. A fault that could not be healed does not
        # end.
        ended = value.phase == "ended" or (value.phase == "failed" and value.fault not in in_force)
        windows[value.fault] = FaultWindow(
            fault=window.fault, f=window.f, members=value.members or window.members,
            begin=window.begin, end=event.time if ended else window.end, detail=window.detail,
            failed=(
                value.error or event.error or "failed" if value.phase == "failed"
                else window.failed
            ),
            effect=window.effect if value.effect is None else value.effect,
        )
    return list(windows.values())
