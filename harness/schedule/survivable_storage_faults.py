"""Decides whether correct members survive the storage faults of a schedule.

`splitbrain.nemesis.storage_drawing` draws only faults that correct members survive. A schedule that
is changed afterwards can contain storage faults that correct members do not survive. If a run with
such faults is invalid, this does not show a bug of the members.
"""

from __future__ import annotations

from collections import defaultdict

from splitbrain.harness.schedule.schedule import Schedule, needed_settings
from splitbrain.nemesis.disk_fault import BitRot, DiskFault, LostSectors, loses_data


def is_survivable(schedule: Schedule) -> bool:
    """Return whether correct members survive the storage faults of `schedule`.

    They survive if three conditions are true. The faults hit at most a minority of the members.
    They hit only one area of each disk. The members have the settings, such as a seal of their
    logs, that the faults need.
    """
    areas: dict[str, set[str]] = defaultdict(set)
    for one in schedule.faults:
        fault = one.fault
        if not loses_data(fault):
            continue
        assert isinstance(fault, BitRot | DiskFault | LostSectors)
        if not fault.on or not fault.area:
            return False
        for member in fault.on:
            areas[member].add(fault.area)
    minority = (len(schedule.members) - 1) // 2
    return (
        len(areas) <= minority
        and all(len(found) == 1 for found in areas.values())
        and needed_settings(schedule.faults, schedule.system).items() <= schedule.settings.items()
    )
