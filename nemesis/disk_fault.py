"""The faults of disks as values, and the state of a faulty disk."""

from __future__ import annotations

from typing import Literal

import msgspec

from splitbrain.nemesis.fault_target import MemberName, Target

DiskArea = Literal["", "log", "seal", "snapshots", "backend", "starts"]
"""The part of a disk that a storage fault affects. log: the segments of the write-ahead log. seal:
the file that records where the durable part of the log ends. snapshots: the snapshot files.
backend: the backend's file. starts: the file that counts the member's starts. "": all of them."""

DISK_AREAS: tuple[DiskArea, ...] = ("log", "seal", "snapshots", "backend", "starts")


class DiskFault(msgspec.Struct, frozen=True, tag_field="fault", tag="disk"):
    """Make members' disks slow, full or faulty. Needs `Disked`.

    `DiskState` describes the fields. The fault is healed by making the disk healthy again. If the
    member has stopped because of its disk, it is also restarted.
    """

    target: Target = "any"
    slow_ms: int = 0
    full: bool = False
    write_error_percent: float = 0.0
    sync_error_percent: float = 0.0
    lying: bool = False
    misdirect_percent: float = 0.0
    torn_percent: float = 0.0
    area: DiskArea = ""
    on: tuple[MemberName, ...] = ()


class BitRot(msgspec.Struct, frozen=True, tag_field="fault", tag="rot"):
    """Flip durable bits of one sector on each member's disk. Needs `Corruptible`.

    The fault is never healed.
    """

    target: Target = "any"
    area: DiskArea = ""
    bits: int = 1
    on: tuple[MemberName, ...] = ()


class LostSectors(msgspec.Struct, frozen=True, tag_field="fault", tag="lost"):
    """Damage each member's disk: durable sectors get back an earlier content. Needs `Corruptible`.

    The page cache still contains the newer content, so members read the earlier content only after
    the next power loss. The fault is never healed.
    """

    target: Target = "any"
    area: DiskArea = ""
    sectors: int = 1
    on: tuple[MemberName, ...] = ()


DiskCall = Literal["", "create", "write", "sync", "rename", "remove", "sync_directory", "commit"]
"""An operation of a disk. create: of a file or a directory. write: to a file; it also stands for a
new size of the file. sync: of a file. rename, remove: of a file. sync_directory: of a directory,
so that its names are durable. commit: of a batch to the backend. "": any of them."""

DISK_CALLS: tuple[DiskCall, ...] = (
    "create", "write", "sync", "rename", "remove", "sync_directory", "commit",
)
Edge = Literal["before", "after"]


class DiskCrash(msgspec.Struct, frozen=True, tag_field="fault", tag="disk_crash"):
    """End a member's process at an exact operation of its disk, between two steps of its code.

    From the beginning of the fault on, each selected member counts its operations of the kind
    `call` on the files in `area`. The fault hits the first member whose count reaches `nth`.

    `edge` is the moment of the crash. `before`: the operation has no effect. An operation that
    takes time, such as a sync, has just begun. `after`: the operation has its whole effect, and the
    member has not continued. If `do` is `power`, the machine loses power at this moment.

    For each number in `again`, the member then restarts and crashes once more, so that the restart
    itself is interrupted. The number counts the disk operations of any kind since the restart. The
    member crashes at the operation with this number. If the member has made fewer operations after
    a second, it does not crash.

    The scheduled duration of the fault begins after the last crash. At its end the member restarts.
    A fault whose operation is never reached has no effect. Needs `CrashesAtDiskCalls` and
    `Killable`.
    """

    target: Target = "any"
    call: DiskCall = ""
    area: DiskArea = ""
    edge: Edge = "before"
    nth: int = 1
    do: Literal["crash", "power"] = "power"
    again: tuple[int, ...] = ()
    on: tuple[MemberName, ...] = ()


def loses_data(fault: object) -> bool:
    """Return whether `fault` makes disks lose or change data that they have reported as durable."""
    if isinstance(fault, DiskFault):
        return bool(fault.lying or fault.misdirect_percent or fault.torn_percent)
    return isinstance(fault, BitRot | LostSectors)


class DiskState(msgspec.Struct, frozen=True):
    """The faults of a member's disk. A percentage is the probability for each single operation.

    If a sync fails, it reports an error, and only an unknown part of its bytes becomes durable.
    These three faults affect only the `area` of the disk, if it is given:

    - With `lying`, syncs report success and make nothing durable.
    - A misdirected write goes to a wrong place in its file.
    - Only a part of a torn write becomes durable, although the sync reports success.

    A correct store survives `slow_ms`, `full` and the errors of writes, syncs and reads on any
    number of members. A member that cannot continue because of such a fault stops. A store with
    replicas can also survive lying syncs, misdirected and torn writes on a minority of its members,
    if these members notice the damage.
    """

    slow_ms: int = 0
    """The average delay added to each sync. The delay of one sync is at most twice as long."""
    full: bool = False
    write_error_percent: float = 0.0
    sync_error_percent: float = 0.0
    read_error_percent: float = 0.0
    lying: bool = False
    misdirect_percent: float = 0.0
    torn_percent: float = 0.0
    area: DiskArea = ""

    @property
    def loses_data(self) -> bool:
        """Return whether the disk can lose or change data that it reports as durable."""
        return bool(self.lying or self.misdirect_percent or self.torn_percent)


HEALTHY = DiskState()
"""The state of a disk that no fault affects."""
