"""The program and the quota with which members of a cluster start next time."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.nemesis.fault_target import MemberName


class NextStarts:
    """How faults have changed the next start of members: the program and the quota.

    A change is removed when its fault is healed.
    """

    def __init__(self) -> None:
        self.with_other_program: dict[MemberName, None] = {}
        """The members that start with the other program next time."""
        self.quotas: dict[MemberName, int] = {}
        """Maps a member to the quota of its backend in bytes, if a fault has changed the quota."""

    def flags(self, member: MemberName) -> Sequence[str]:
        """Return flags that replace flags of the same name at the member's next start."""
        quota = self.quotas.get(member)
        return () if quota is None else ("--quota-backend-bytes", str(quota))


class ChangesPrograms:
    """Chooses the program of a member's next start.

    Implements `use_other_program` of `Upgradable`. The cluster implements `serves`.
    """

    _next_starts: NextStarts

    def use_other_program(self, member: MemberName, *, other: bool) -> None:
        """Choose the program with which the member starts next time.

        If `other` is True, this is the other program. Otherwise it is the original program. A store
        that has no other program starts the original one in both cases.
        """
        if other:
            self._next_starts.with_other_program[member] = None
        else:
            self._next_starts.with_other_program.pop(member, None)
