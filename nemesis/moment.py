"""Moments: events of the run, such as an election, at which a fault begins."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

MomentEvent = Literal[
    "election", "snapshot", "compaction", "defragmentation", "connection", "operation", "fault"
]
"""An event for which a fault can wait. election: a member becomes leader. snapshot: a member sends,
receives or saves a snapshot. compaction: a member begins to compact. defragmentation: a member
begins to defragment. connection: a client connects to a member. operation: a client begins an
operation. fault: another fault has begun."""

MOMENT_EVENTS: tuple[MomentEvent, ...] = get_args(MomentEvent)


class Moment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `nth` time that `event` happens after the scheduled beginning of a fault.

    Events of all members are counted together.
    """

    event: MomentEvent
    nth: int = 1
    of: str = ""
    """For the event `fault`: only faults with this name count, such as "partition". "": all faults
    count."""

    def __post_init__(self) -> None:
        if self.nth < 1:
            raise ValueError(f"nth={self.nth}: expected at least 1")
