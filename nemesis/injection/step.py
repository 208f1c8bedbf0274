"""The injector of faults at a step of the write path.

The member pauses itself when it reaches the step, as if by SIGSTOP. Then the fault acts on the
paused member. For example, the member is killed, or loses its power or its links. Therefore the
fault happens at exactly that step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from random import Random

from splitbrain.nemesis.capabilities import HasFailpoints, LinkState, Pausable, Powered
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import AtStep
from splitbrain.nemesis.fault_target import MemberName
from splitbrain.nemesis.injection.fault_effect import known
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce, Undo, system_name
from splitbrain.nemesis.injection.first_member import first_member
from splitbrain.nemesis.injection.inject import Injected, resolve_target
from splitbrain.nemesis.partition_shapes import Link, links_touching


class ArmedFault:
    """A fault that hits a member when it reaches a step of the write path.

    The function `undo` clears the failpoints if no member has reached the step.
    """

    def __init__(
        self,
        fault: AtStep,
        in_force: FaultsInForce,
        system: HasFailpoints,
        members: tuple[MemberName, ...],
    ) -> None:
        self.members = members
        self._fault = fault
        self._in_force = in_force
        self._system = system
        self.undo: Undo = in_force.register(self._disarm)

    async def inject_when_reached(self) -> Injected:
        """Wait for the first member that reaches the step, and inject the fault there.

        If the action is `sleep`, the member delays the step by itself, and does not report this.
        Therefore the method does not wait, and the fault is treated as in force at once.
        """
        if self._fault.do == "sleep":
            return Injected(self.members, (), self.undo)
        failpoint = self._fault.failpoint
        member = await first_member(
            self.members, lambda one: self._system.wait_until_paused_at(one, failpoint)
        )
        undos = [await self._in_force.stop_members("paused", (member,)), self.undo]
        # The fault happens only once, so the failpoints of the other members are cleared. The
        # paused member cannot answer, and its failpoint does not act again.
        await self._clear([one for one in self.members if one != member])
        self.members = ()
        links = await self._inject(member, undos)

        async def undo() -> None:
            for one in undos:
                await one()

        effect = known(f"{member} reached the step {self._fault.failpoint}")
        return Injected((member,), links, undo, effect)

    async def _inject(self, member: MemberName, undos: list[Undo]) -> tuple[Link, ...]:
        """Apply the fault's action to the paused `member`. Returns the links that were cut.

        `undos` already contains the function that resumes the member. The method appends a function
        for each change that it makes.
        """
        in_force = self._in_force
        if self._fault.do == "isolate":
            links = links_touching(in_force.system.members, (member,))
            undos.append(await in_force.set_links(dict.fromkeys(links, LinkState(open=False))))
            await undos[0]()
            return links
        if self._fault.do in ("crash", "power"):
            if self._fault.do == "power" and isinstance(in_force.system, Powered):
                await in_force.system.lose_power((member,))
            undos.append(await in_force.stop_members("killed", (member,)))
        return ()

    async def _disarm(self) -> None:
        """Clear the failpoints, and resume a member that has paused at one of them meanwhile."""
        members, self.members = self.members, ()
        await self._clear(members)
        if isinstance(self._system, Pausable):
            for member in members:
                await self._system.resume(member)

    async def _clear(self, members: Iterable[MemberName]) -> None:
        for member in members:
            with contextlib.suppress(FaultError, OSError):  # a dead member has no failpoints set
                await self._system.clear_failpoint(member, self._fault.failpoint)


async def arm(fault: AtStep, in_force: FaultsInForce, random: Random, sleep_ms: int) -> ArmedFault:
    """Set the failpoint of the selected members, so that they pause or sleep at the step.

    If the action is `sleep`, the step is delayed by `sleep_ms`. Raises FaultError if the system has
    no failpoints, or if the failpoint could be set on none of the members.
    """
    system = in_force.system
    if not isinstance(system, HasFailpoints):
        raise FaultError(
            f"{system_name(system)} has no failpoints: its class lacks the methods of HasFailpoints"
        )
    members = await resolve_target(fault.target, in_force, random, fault.on)
    term = f"{fault.visit}#" + (f"sleep({sleep_ms})" if fault.do == "sleep" else "pause")
    armed: list[MemberName] = []
    problem: FaultError | None = None
    for member in members:
        try:
            await system.set_failpoint(member, fault.failpoint, term)
            armed.append(member)
        except FaultError as refusal:
            problem = refusal
    if problem is not None and not armed:
        raise problem
    return ArmedFault(fault, in_force, system, tuple(armed))
