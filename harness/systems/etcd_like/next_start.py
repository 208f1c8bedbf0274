"""The program and the quota with which members of a cluster start next time."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.nemesis.fault_target import MemberName


class NextStarts:
    """The changes that faults have made for the next start of members, until they are healed."""

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
    """Chooses the program of a member's next start; implements `Upgradable` without `serves`."""

    _next_starts: NextStarts

    def use_other_program(self, member: MemberName, *, other: bool) -> None:
        """Choose the program with which the member starts next time.

        `other` selects the other program, and False the original one. A store that has no other
        program starts the same one.
        """
        if other:
            self._next_starts.with_other_program[member] = None
        else:
            self._next_starts.with_other_program.pop(member, None)
