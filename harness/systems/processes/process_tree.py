"""A process of a member, with its descendants, to which signals are sent together."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Protocol

import psutil

from splitbrain.harness.systems.processes.crash import Endable
from splitbrain.harness.systems.processes.member_process import MemberProcess

DESCENDANTS_END_S_MAX = 10


class ProcessTree(Endable, Protocol):
    """A process of a member, with its descendants, on any machine."""

    async def kill(self) -> None:
        """Send SIGKILL, and wait until the process has ended."""

    async def pause(self) -> None:
        """Send SIGSTOP to the process and its descendants."""

    async def resume(self) -> None:
        """Send SIGCONT to the process and its descendants."""

    async def terminate(self, grace_ms: int) -> None:
        """Send SIGTERM, and SIGKILL if the process has not ended after `grace_ms`."""


class LocalTree:
    """A process of this machine, with its descendants."""

    def __init__(self, process: MemberProcess) -> None:
        self.process = process

    @property
    def kill_sent(self) -> bool:
        return self.process.kill_sent

    @property
    def exit_code(self) -> int | None:
        return self.process.exit_code

    def alive(self) -> bool:
        return self.process.alive()

    def is_stopped(self) -> bool:
        """Return whether every thread of the process, without descendants, has stopped."""
        return self.process.is_stopped()

    async def kill(self) -> None:
        children = self._descendants()
        self.process.kill()
        for child in children:
            with contextlib.suppress(psutil.Error):
                child.kill()
        await self.process.kill_and_wait()
        if children:
            await asyncio.to_thread(psutil.wait_procs, children, DESCENDANTS_END_S_MAX)

    async def pause(self) -> None:
        await self.process.pause()
        for child in self._descendants():
            with contextlib.suppress(psutil.Error):
                child.suspend()

    async def resume(self) -> None:
        for child in self._descendants():
            with contextlib.suppress(psutil.Error):
                child.resume()
        self.process.resume()

    async def terminate(self, grace_ms: int) -> None:
        await self.process.terminate(grace_ms)

    def _descendants(self) -> list[psutil.Process]:
        # The pid of a process that has ended may be that of another process by now.
        if not self.alive() or _has_no_children(self.process.pid):
            return []
        try:
            return list(psutil.Process(self.process.pid).children(recursive=True))
        except psutil.Error:
            return []


def _has_no_children(pid: int) -> bool:
    """Return whether the kernel lists no children of the process; False if it keeps no list.

    psutil is not used, because it reads the state of every process of the machine, which delays a
    fault by milliseconds.
    """
    try:
        lists = [one.read_text() for one in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:  # a thread has just ended
        return False
    return bool(lists) and not any(lists)
