"""The members that must serve at the end of a run.

These are the members that the system declares to serve, except:

- members that did not run at the end because they had crashed, which `crashed` judges;
- members whose disk lost or changed durable data. They may find that out at any time, and must
  stop then. If they are a majority, no member has to serve.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from splitbrain.harness.store.records import RunRecord
from splitbrain.histories.history import FaultWindow
from splitbrain.nemesis.fault import BitRot, DiskFault, Fault


def serving_members(record: RunRecord, faults: Sequence[FaultWindow]) -> tuple[str, ...]:
    """The members that must answer a write and a linearizable read at the end of the run."""
    damaged = {member for window in faults if damages(window) for member in window.members}
    if 2 * len(damaged) >= len(record.members):
        return ()
    excused = damaged.union(record.ended_members)
    return tuple(member for member in record.serving if member not in excused)


def damages(window: FaultWindow) -> bool:
    """Whether the fault of `window` makes a disk lose or change data that it reported durable."""
    try:
        fault = msgspec.json.decode(window.detail, type=Fault)
    except msgspec.MsgspecError:  # a fault of a user
        return False
    match fault:
        case BitRot():
            return True
        case DiskFault():
            return bool(fault.lying or fault.misdirect_percent)
    return False
