"""Holds a running process at its nth system call of one kind on some files.

The calls of all threads are counted. Each counted call stops the whole process for about a
millisecond, by a SIGSTOP that strace injects.

strace does the same action at each call. For another action, a new strace replaces the old one. The
process is stopped meanwhile, so that no call is missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

from splitbrain.nemesis.linux.stop_process import is_stopped
from splitbrain.nemesis.linux.strace import Calls, Strace, is_dying

T = TypeVar("T")
Edge = Literal["before", "after"]

STOP = "signal=SIGSTOP"
"""The action that stops the whole process when a call is complete, before its thread leaves the
kernel."""
HOLD = "delay_enter=3600s"
"""The action that delays a call, so that it does not begin until strace detaches."""
_POLL_S = 0.001


class ProcessEnded(Exception):
    """Raised if the traced process, or strace itself, has ended."""


class HeldCall:
    """A process that is to be held before or after a system call. `arm` creates an object.

    `may_resume` returns whether the process may receive SIGCONT: False while another fault keeps it
    stopped.
    """

    def __init__(self, strace: Strace, calls: Calls, may_resume: Callable[[], bool]) -> None:
        self.pid = strace.pid
        self._strace = strace
        self._calls = calls
        self._may_resume = may_resume
        self._stopped = False
        self._stops_before = 0
        """How many stops strace had reported when the process was last continued."""

    @classmethod
    async def arm(
        cls, pid: int, calls: Calls, may_resume: Callable[[], bool], inject: str
    ) -> HeldCall:
        """Attach strace with the action `inject` to the process `pid`. Raises FaultError."""
        return cls(await Strace.attach(pid, calls, inject), calls, may_resume)

    async def pass_calls(self, count: int) -> None:
        """Let the process run until `count` calls are complete. It is then stopped again.

        The action must be `STOP`. Raises ProcessEnded if the process ends first.
        """
        while self._strace.calls_begun < count:
            await self._until_stopped(self._strace.calls_begun + 1)
            if self._strace.calls_begun < count:
                self._continue()
        await self._until_stopped(count)

    async def replace(self, inject: str) -> None:
        """Replace strace's action by `inject` in the stopped process, and continue the process."""
        await self._strace.detach()
        self._strace = await Strace.attach(self.pid, self._calls, inject)
        self._stops_before = 0
        self._continue()

    async def reach(self, visit: int, edge: Edge) -> None:
        """Wait until the process is held at call number `visit`, before or after it (`edge`).

        The process must have been armed with `first_action(visit, edge)`. Raises ProcessEnded if
        the process ends first.
        """
        if edge == "after":
            await self.pass_calls(visit)
            return
        if visit > 1:
            await self.pass_calls(visit - 1)
            await self.replace(HOLD)
        await self._until_begun(1)

    async def kill_with(self, kill: Awaitable[T]) -> T:
        """Kill the held process by `kill`, so that the held call never begins.

        `kill` sends a SIGKILL and waits for the end of the process. At the same time this method
        detaches strace, because a process that strace holds cannot end. Returns the result of
        `kill`.
        """
        killing = asyncio.ensure_future(kill)
        while not (killing.done() or is_dying(self.pid)):  # noqa: ASYNC110 - the kernel's state
            await asyncio.sleep(_POLL_S)
        await self._strace.detach(from_killed=True)
        return await killing

    async def release(self) -> None:
        """Detach strace from the process and let it run. A second call has no effect."""
        await self._strace.detach()
        self._continue()

    async def _until_begun(self, count: int) -> None:
        while self._strace.calls_begun < count:
            if self._strace.ended:
                raise ProcessEnded(f"process {self.pid} ended: {self._strace.message}")
            await self._strace.changed()

    async def _until_stopped(self, count: int) -> None:
        """Wait until `count` calls have begun and the process has stopped because of them."""
        self._stopped = True
        await self._until_begun(count)
        # While strace examines a thread, the thread looks stopped. So the number of stops that
        # strace reports is compared, too.
        while not (self._strace.stops > self._stops_before and is_stopped(self.pid)):
            if self._strace.ended:
                raise ProcessEnded(f"process {self.pid} ended: {self._strace.message}")
            await asyncio.sleep(_POLL_S)

    def _continue(self) -> None:
        if self._stopped and self._may_resume():
            self._stopped = False
            self._stops_before = self._strace.stops
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGCONT)


def first_action(visit: int, edge: Edge) -> str:
    """Return strace's action for `HeldCall.arm`, if the process is to be held at call `visit`."""
    return HOLD if edge == "before" and visit == 1 else STOP
