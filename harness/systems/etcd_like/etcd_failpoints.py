"""The steps of the write path at which stock etcd can be held: its syncs of files.

strace holds the member before or after the system call. The sync of the log is the same call on a
leader and on a follower, so strace cannot distinguish the steps `leader_wal` and `follower_wal`.
Therefore this module checks the role: a member is held at `leader_wal` only if it leads, and at
`follower_wal` only if it does not lead.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from splitbrain.nemesis.disk_fault import DiskArea
from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.fault_target import MemberName
from splitbrain.nemesis.linux.held_call import Edge, HeldCall, ProcessEnded, first_action
from splitbrain.nemesis.linux.strace import SYSTEM_CALLS, Calls

STEP_AREAS: dict[str, DiskArea] = {
    "leader_wal": "log", "follower_wal": "log", "backend_flush": "backend",
}
"""Maps a step to the area of the disk whose sync is the step."""
_FAILPOINT = re.compile(r"(before|after)_(\w+)")
_TERM = re.compile(r"(\d+)#(?:(pause)|sleep\((\d+)\))")


class EtcdSteps:
    """Holds members at steps of the write path, by strace, and releases them."""

    def __init__(
        self,
        files: Callable[[MemberName, DiskArea], Sequence[Path]],
        leader: Callable[[], Awaitable[MemberName | None]],
        is_paused: Callable[[MemberName], bool],
    ) -> None:
        self._files = files
        self._leader = leader
        self._is_paused = is_paused
        self._held: dict[MemberName, tuple[HeldCall, int, Edge]] = {}
        self._sleeps: dict[MemberName, asyncio.Task[None]] = {}

    async def arm(self, member: MemberName, pid: int, failpoint: str, term: str) -> None:
        """Let strace hold the member at `failpoint`. `term` is `N#pause` or `N#sleep(MS)`.

        The member is held when it reaches the failpoint for the N-th time. `pause` holds it until
        it is released, and `sleep` for MS milliseconds. Raises FaultError if etcd has no such step,
        or if the member does not have the step's role.
        """
        await self.disarm(member)
        found, how = _FAILPOINT.fullmatch(failpoint), _TERM.fullmatch(term)
        if found is None or how is None or found[2] not in STEP_AREAS:
            raise FaultError(
                f"etcd has no failpoint {failpoint} with the term {term}: expected before or after "
                f"{', '.join(STEP_AREAS)}, and the term N#pause or N#sleep(MS)"
            )
        edge: Edge = "before" if found[1] == "before" else "after"
        await self._check_role(member, found[2])
        paths = tuple(map(str, self._files(member, STEP_AREAS[found[2]])))
        calls = Calls(SYSTEM_CALLS["sync"], paths)
        visit = int(how[1])
        held = await HeldCall.arm(
            pid, calls, lambda: not self._is_paused(member), first_action(visit, edge)
        )
        self._held[member] = held, visit, edge
        if not how[2]:
            self._sleeps[member] = asyncio.create_task(self._sleep(member, int(how[3])))

    async def _sleep(self, member: MemberName, sleep_ms: int) -> None:
        """Wait until the member is held at its step, and release it after `sleep_ms`."""
        await self.wait_until_held(member)
        await asyncio.sleep(sleep_ms / 1000)
        await self._held[member][0].release()

    async def _check_role(self, member: MemberName, step: str) -> None:
        role = step.partition("_")[0]
        leads = await self._leader() == member
        if (role == "leader" and not leads) or (role == "follower" and leads):
            raise FaultError(
                f"{member} {'leads' if leads else 'does not lead'} at this time, so it does not "
                f"execute the step {step}"
            )

    async def wait_until_held(self, member: MemberName) -> None:
        """Wait until the member is held at its step.

        Never returns if the member ends before that.
        """
        held, visit, edge = self._held[member]
        try:
            await held.reach(visit, edge)
        except ProcessEnded:
            await asyncio.Event().wait()

    async def kill_with(self, member: MemberName, kill: Coroutine[Any, Any, None]) -> None:
        """Await `kill`, which kills the member.

        If the member is held before a system call, this call is never executed.
        """
        if (one := self._held.get(member)) is None:
            await kill
        else:
            await one[0].kill_with(kill)
            await self.disarm(member)

    async def disarm(self, member: MemberName) -> None:
        """Let the member continue. From now on it is held at no step."""
        if (sleep := self._sleeps.pop(member, None)) is not None:
            sleep.cancel()
            await asyncio.wait([sleep])
        if (one := self._held.pop(member, None)) is not None:
            await one[0].release()

    async def disarm_all(self) -> None:
        for member in tuple(self._held):
            await self.disarm(member)
