"""The hands for faults at a step of the write path.

The member itself stands still when it comes to the step, as by SIGSTOP, so that whatever
is done to it then is done exactly there: it is killed, loses its power or its links, or
just stands for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from random import Random

from splitbrain.nemesis.capabilities import LinkState, Pausable, Powered, Stepped
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import AtStep, MemberName
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce, Undo
from splitbrain.nemesis.injection.inject import Injected, targeted_members
from splitbrain.nemesis.topology import touching


class Armed:
    """A fault at a step, waiting for a member to come there. `undo` disarms it."""

    def __init__(
        self,
        fault: AtStep,
        in_force: FaultsInForce,
        system: Stepped,
        members: tuple[MemberName, ...],
    ) -> None:
        self.members = members
        self._fault = fault
        self._in_force = in_force
        self._system = system
        self.undo: Undo = in_force.keep(self._disarm)

    async def come(self) -> Injected:
        """Waits for the first member that comes to the step, and inflicts the fault on it.
        A sleeping step is in force at once, for nobody is told when it is come to."""
        if self._fault.do == "sleep":
            return Injected(self.members, (), self.undo)
        member = await self._first()
        undos = [await self._in_force.hold("paused", (member,)), self.undo]
        # It acts once: whoever came to it need not be told, and could not be.
        await self._clear([one for one in self.members if one != member])
        self.members = ()
        links = await self._inject(member, undos)

        async def undo() -> None:
            for one in undos:
                await one()

        return Injected((member,), links, undo)

    async def _first(self) -> MemberName:
        waits = {
            asyncio.ensure_future(self._system.stands_at(member, self._fault.failpoint)): member
            for member in self.members
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            return next(member for wait, member in waits.items() if wait.done())
        finally:
            for wait in waits:
                wait.cancel()

    async def _inject(
        self, member: MemberName, undos: list[Undo]
    ) -> tuple[tuple[MemberName, MemberName], ...]:
        """The first of `undos` lets the member go on."""
        in_force = self._in_force
        if self._fault.do == "isolate":
            links = touching(in_force.system.members, (member,))
            undos.append(await in_force.condition(dict.fromkeys(links, LinkState(open=False))))
            await undos[0]()
            return links
        if self._fault.do in ("crash", "power"):
            if self._fault.do == "power" and isinstance(in_force.system, Powered):
                await in_force.system.lose_power((member,))
            undos.append(await in_force.hold("killed", (member,)))
        return ()

    async def _disarm(self) -> None:
        """A member that came to the step just now, unseen, goes on too."""
        members, self.members = self.members, ()
        await self._clear(members)
        if isinstance(self._system, Pausable):
            for member in members:
                await self._system.resume(member)

    async def _clear(self, members: Iterable[MemberName]) -> None:
        for member in members:
            with contextlib.suppress(FaultError, OSError):  # a dead member has none set
                await self._system.clear_failpoint(member, self._fault.failpoint)


async def arm(fault: AtStep, in_force: FaultsInForce, random: Random, hold_ms: int) -> Armed:
    """Let the members aimed at stand still (or sleep, for `hold_ms`) at the failpoint.

    Raises FaultError if the system has no failpoints, or none of the members can be told.
    """
    system = in_force.system
    if not isinstance(system, Stepped):
        raise FaultError(
            f"{getattr(system, 'name', type(system).__name__)} has no failpoints: it is not Stepped"
        )
    members = await targeted_members(fault.target, in_force, random, fault.on)
    term = f"{fault.visit}#" + (f"sleep({hold_ms})" if fault.do == "sleep" else "pause")
    told: list[MemberName] = []
    problem: FaultError | None = None
    for member in members:
        try:
            await system.set_failpoint(member, fault.failpoint, term)
            told.append(member)
        except FaultError as refusal:
            problem = refusal
    if problem is not None and not told:
        raise problem
    return Armed(fault, in_force, system, tuple(told))
