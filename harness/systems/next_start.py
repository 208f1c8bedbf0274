"""How members of a cluster start the next time, if a fault has changed that."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.nemesis.fault import MemberName


class NextStarts:
    """The changes of the next starts of members, until a fault is healed."""

    def __init__(self) -> None:
        self.with_other_program: dict[MemberName, None] = {}
        """The members that start with the other program."""
        self.quotas: dict[MemberName, int] = {}
        """Member → the quota of its backend, in bytes."""

    def flags(self, member: MemberName) -> Sequence[str]:
        """Flags that replace those of the same name."""
        quota = self.quotas.get(member)
        return () if quota is None else ("--quota-backend-bytes", str(quota))


class ChangesPrograms:
    """Implements `Upgradable` by the cluster's `_next_starts`, except for `serves`."""

    _next_starts: NextStarts

    def use_other_program(self, member: MemberName, *, other: bool) -> None:
        """Let the next start of the member be with the other program, or the former one.

        A store that has no other program starts the same one.
        """
        if other:
            self._next_starts.with_other_program[member] = None
        else:
            self._next_starts.with_other_program.pop(member, None)
