"""The wall clocks of members that are real processes, while faults change them.

All jumps and drifts of a member add up. A restart of the member does not change its clock, because
a real clock belongs to the machine. After the run, each clock shows the true time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from splitbrain.nemesis.capabilities import HasProcess
from splitbrain.nemesis.fault_target import MemberName
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce
from splitbrain.nemesis.linux.process_clock import WallClock, open_clock, true_ns
from splitbrain.nemesis.linux.undo_journal import PatchedMemory, identity


@dataclass(slots=True)
class _Reading:
    """The error of a clock: the clock was `ahead_ns` ahead at `begin_ns`, and has drifted since."""

    ahead_ns: int = 0
    ppm: int = 0
    begin_ns: int = 0

    def settle(self, now_ns: int) -> None:
        """Add the drift since `begin_ns` to `ahead_ns`, and set `begin_ns` to `now_ns`."""
        self.ahead_ns += (now_ns - self.begin_ns) * self.ppm // 1_000_000
        self.begin_ns = now_ns


class ProcessClocks:
    """Changes the wall clocks of the members of one system, and restores them."""

    def __init__(self, system: HasProcess, in_force: FaultsInForce) -> None:
        self._system = system
        self._in_force = in_force
        self._readings: dict[MemberName, _Reading] = {}
        self._patched: dict[MemberName, tuple[WallClock, int]] = {}
        """For each member: the clock of its present process, and the number of its journal
        entry."""
        in_force.after_restart(self._after_restart)
        in_force.at_end(self._restore_all)

    async def jump(self, member: MemberName, ahead_ms: int) -> None:
        """Move the member's wall clock by `ahead_ms`. Raises FaultError."""
        reading = self._reading(member)
        reading.ahead_ns += ahead_ms * 1_000_000
        await self._apply(member)

    async def drift(self, member: MemberName, ppm: int) -> None:
        """Run the member's wall clock faster by `ppm` millionths. Raises FaultError."""
        reading = self._reading(member)
        reading.settle(true_ns())
        reading.ppm += ppm
        await self._apply(member)

    def _reading(self, member: MemberName) -> _Reading:
        return self._readings.setdefault(member, _Reading(begin_ns=true_ns()))

    async def _apply(self, member: MemberName) -> None:
        """Set the clock of the member's process to the computed error, if the member runs."""
        pid = self._system.pid(member)
        if pid is None:
            return
        clock = self._clock(member, pid)
        reading = self._readings[member]
        await clock.set(
            ahead_ns=reading.ahead_ns, ppm=reading.ppm, begin_ns=reading.begin_ns,
            may_resume=self._may_resume(member),
        )

    def _clock(self, member: MemberName, pid: int) -> WallClock:
        present = self._patched.get(member)
        if present is not None and present[0].pid == pid:
            return present[0]
        self._forget(member)
        clock = open_clock(pid)
        old = tuple((one.address, one.old) for one in clock.changes)
        number = self._in_force.journal.note(PatchedMemory(identity(pid), old))
        self._patched[member] = clock, number
        return clock

    def _forget(self, member: MemberName) -> None:
        if (present := self._patched.pop(member, None)) is not None:
            self._in_force.journal.settle(present[1])

    async def _after_restart(self, member: MemberName) -> None:
        if member in self._readings:
            await self._apply(member)

    async def _restore_all(self) -> None:
        self._readings.clear()
        for member, (clock, _) in tuple(self._patched.items()):
            if self._system.pid(member) == clock.pid:
                await clock.restore(self._may_resume(member))
            self._forget(member)

    def _may_resume(self, member: MemberName) -> Callable[[], bool]:
        return lambda: not self._in_force.is_paused(member)
