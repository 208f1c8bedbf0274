"""The injector of faults in system calls of members' processes.

The import of this module registers its injector with `inject`.
"""

from __future__ import annotations

import asyncio
import contextlib
from random import Random

from splitbrain.nemesis.capabilities import Killable, Traceable
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault import SyscallFault
from splitbrain.nemesis.fault_target import MemberName
from splitbrain.nemesis.injection.faults_in_force import FaultsInForce, Undo, system_name
from splitbrain.nemesis.injection.inject import Injected, inject, resolve_target
from splitbrain.nemesis.linux.held_call import (
    STOP,
    HeldCall,
    ProcessEnded,
    first_action,
)
from splitbrain.nemesis.linux.strace import SYSTEM_CALLS, Calls


class TracedMember:
    """A fault of system calls on one member. It is in force when `begin` has returned."""

    def __init__(
        self, fault: SyscallFault, member: MemberName, system: Traceable, in_force: FaultsInForce
    ) -> None:
        self._fault = fault
        self._member = member
        self._system = system
        self._in_force = in_force
        self._held: HeldCall | None = None
        self._counting: asyncio.Task[None] | None = None
        self._restart: Undo | None = None
        """The function that restarts the member after this fault has killed it; None before
        that."""
        self._attaching = asyncio.Lock()
        """Held while strace is attached or detached."""
        self._ended = False

    async def begin(self) -> None:
        """Begin to affect the member's system calls, by strace, if the member runs.

        Raises FaultError if the member cannot be traced or has no file that the fault affects.
        """
        pid = self._system.pid(self._member)
        if pid is None:
            return
        fault = self._fault
        paths = self._system.files(self._member, fault.area, fault.path)
        if not paths:
            where = fault.path or fault.area or "its data folder"
            raise FaultError(f"{self._member} has no file in {where}, so no call can be affected")
        calls = Calls(SYSTEM_CALLS[fault.call], tuple(map(str, paths)))
        self._held = await HeldCall.arm(pid, calls, self._may_resume, self._first_action())
        if fault.nth > 1 or fault.times or fault.do == "kill":
            name = f"calls of {self._member}"
            self._counting = asyncio.create_task(self._count(self._held), name=name)

    async def end(self) -> None:
        """Make the member's calls normal.

        Restart the member if it has ended because of this fault.
        """
        # A restart of the member may just attach strace to the new process. Without the lock, it
        # would stay attached. Without the flag, a later restart would attach it again.
        self._ended = True
        async with self._attaching:
            await self._end()

    async def _end(self) -> None:
        counting, self._counting = self._counting, None
        if counting is not None:
            counting.cancel()
            await asyncio.wait([counting])
        if self._held is not None:
            await self._held.release()
            self._held = None
        if self._restart is not None:
            await self._restart()
            self._restart = None
        gone = self._system.pid(self._member) is None
        killed = self._in_force.is_killed(self._member)
        if gone and not killed and isinstance(self._in_force.system, Killable):
            await self._in_force.system.restart(self._member)

    async def after_restart(self, member: MemberName) -> None:
        """Affect the calls of the member's new process too, after the member has restarted.

        If the fault is a kill, the new process is not affected.
        """
        if member != self._member or not self._affects_new_process():
            return
        async with self._attaching:
            if self._affects_new_process():
                if self._held is not None:
                    await self._held.release()
                    self._held = None
                await self.begin()

    def _affects_new_process(self) -> bool:
        return not self._ended and self._restart is None and self._fault.do != "kill"

    async def _count(self, held: HeldCall) -> None:
        fault = self._fault
        with contextlib.suppress(ProcessEnded):  # another fault, or the error itself, has ended it
            if fault.do == "kill":
                await held.reach(fault.nth, "before")
                stop = self._in_force.stop_members("killed", (self._member,))
                self._restart = await held.kill_with(stop)
                return
            if fault.nth > 1:
                await held.pass_calls(fault.nth - 1)
                await held.replace(self._action())
            if fault.times:
                await held.pass_calls(fault.times)
                await held.release()

    def _first_action(self) -> str:
        fault = self._fault
        if fault.do == "kill":
            return first_action(fault.nth, "before")
        return STOP if fault.nth > 1 else self._action()

    def _action(self) -> str:
        fault = self._fault
        # The call is delayed before its effect, so a kill during the delay loses what the call
        # would have synced.
        action = (
            f"error={fault.error}" if fault.do == "error"
            else f"delay_enter={max(fault.delay_ms, 1)}ms"
        )
        return f"{action}:{STOP}" if fault.times else action

    def _may_resume(self) -> bool:
        return not self._in_force.is_paused(self._member)


@inject.register
async def _syscall_fault(
    fault: SyscallFault, in_force: FaultsInForce, random: Random
) -> Injected:
    system = in_force.system
    if not isinstance(system, Traceable):
        raise FaultError(
            f"{system_name(system)} has no processes that can be traced: its class lacks the "
            "methods of Traceable, `pid` and `files`"
        )
    members = await resolve_target(fault.target, in_force, random, fault.on)
    traced = [TracedMember(fault, member, system, in_force) for member in members]
    forget = [in_force.after_restart(one.after_restart) for one in traced]

    async def heal() -> None:
        for stop_watching in forget:
            stop_watching()
        for one in traced:
            await one.end()

    undo = in_force.register(heal)
    try:
        for one in traced:
            await one.begin()
    except BaseException:
        await undo()
        raise
    return Injected(members, (), undo)
