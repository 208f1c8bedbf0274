"""Computes the state of each member's disk while several faults affect it.

Each fault in force adds a `DiskState` to some members. The effective state of a member's disk
combines all of them. It is computed again when a state is added or removed.
"""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.nemesis.disk_fault import HEALTHY, DiskState
from splitbrain.nemesis.fault_target import MemberName


class DiskTable:
    """The states that faults in force have added to disks. The table does no I/O."""

    def __init__(self) -> None:
        self._states: dict[int, tuple[DiskState, Sequence[MemberName]]] = {}
        self._tokens = 0

    def add(self, state: DiskState, members: Sequence[MemberName]) -> int:
        """Add the state of a fault to the disks of `members`. Returns the number for `remove`."""
        self._tokens += 1
        self._states[self._tokens] = (state, members)
        return self._tokens

    def remove(self, token: int) -> None:
        """Remove the state with the number `token`, which `add` has returned."""
        self._states.pop(token, None)

    def effective(self, member: MemberName) -> DiskState:
        """Return the combined state of the member's disk under all faults in force."""
        found = HEALTHY
        for state, members in self._states.values():
            if member in members:
                found = combine(found, state)
        return found


def combine(one: DiskState, other: DiskState) -> DiskState:
    """Return the state of a disk to which both `one` and `other` apply.

    Delays add up, and the higher percentage of each fault applies. If both states lose data in
    different areas, the result loses data in all areas.
    """
    areas = {state.area for state in (one, other) if state.loses_data}
    return DiskState(
        slow_ms=one.slow_ms + other.slow_ms,
        full=one.full or other.full,
        write_error_percent=max(one.write_error_percent, other.write_error_percent),
        sync_error_percent=max(one.sync_error_percent, other.sync_error_percent),
        read_error_percent=max(one.read_error_percent, other.read_error_percent),
        lying=one.lying or other.lying,
        misdirect_percent=max(one.misdirect_percent, other.misdirect_percent),
        torn_percent=max(one.torn_percent, other.torn_percent),
        area=areas.pop() if len(areas) == 1 else "",
    )
