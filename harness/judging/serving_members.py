"""Decides which members must serve at the end of a run.

The system under test declares which members serve. Two kinds of these members are excepted:

- members that had crashed and did not run at the end, which the checker `crashed` judges;
- members whose disk lost or changed durable data. Such a member may notice this at any time, and
  must then stop. If at least half of the members are of this kind, no member has to serve.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from splitbrain.harness.store.records import RunRecord
from splitbrain.histories.history import FaultWindow
from splitbrain.nemesis.disk_fault import loses_data
from splitbrain.nemesis.fault import Fault


def serving_members(record: RunRecord, faults: Sequence[FaultWindow]) -> tuple[str, ...]:
    """Return the members that must answer a write and a linearizable read at the end of the run."""
    excused = {*excused_members(record, faults), *record.ended_members}
    return tuple(member for member in record.serving if member not in excused)


def excused_members(record: RunRecord, faults: Sequence[FaultWindow]) -> tuple[str, ...]:
    """Return the members that may stop serving, because their disks lost or changed durable data.

    If they are at least half of the members, all members are returned.
    """
    damaged = {member for window in faults if damages(window) for member in window.members}
    everyone = tuple(member.name for member in record.members)
    if 2 * len(damaged) >= len(everyone):
        return everyone
    return tuple(member for member in everyone if member in damaged)


def damages(window: FaultWindow) -> bool:
    """Return whether the fault of `window` makes a disk lose or change durable data."""
    try:
        fault = msgspec.json.decode(window.detail, type=Fault)
    except msgspec.MsgspecError:  # The fault is defined by a user.
        return False
    return loses_data(fault)
