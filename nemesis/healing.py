"""Heals all faults that are still in force at the end of the load, and records the healing."""

from __future__ import annotations

from collections.abc import Callable

from splitbrain.nemesis.fault_events import FaultEvents
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce


async def heal_all(
    in_force: FaultsInForce, events: FaultEvents, healed: Callable[[], None]
) -> None:
    """Heal all faults in force: open all links, and resume and restart members.

    Some faults, such as removed members, can be undone only in a cluster without other faults. If
    such a fault is in force, the function first heals all other faults. Then it calls `healed`, and
    undoes the remaining faults. The function tries every member and link, and raises the first
    error at the end. It may be called several times.
    """
    unfinished = list(events.unhealed)
    for number in unfinished:
        if events.unhealed[number] in ("begin", "began"):
            events.record(number, "end")
    try:
        await in_force.release_all()
        if in_force.needs_restoration:
            healed()
            await in_force.restore_all()
    except Exception as problem:
        for number in unfinished:
            events.record_failure(number, problem)
        raise
    for number in unfinished:
        events.record(number, "ended")
    events.injected.clear()
