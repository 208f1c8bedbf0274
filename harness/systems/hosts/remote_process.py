"""A process on another host, with its process group."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from splitbrain.harness.errors import SystemFailed

if TYPE_CHECKING:
    import asyncssh

Run = Callable[[str], Awaitable[str]]
"""A function that runs a shell command on the host and returns its output."""
KILL_TIMEOUT_S = 20.0
POLL_S = 0.01


class RemoteTree:
    """A process on another host, with its descendants.

    Signals are sent to its process group, whose number is in the file `pid_file`. The SSH channel
    of the process is closed when the process ends. `is_lost` returns whether the connection to the
    host is lost.
    """

    def __init__(
        self, process: asyncssh.SSHClientProcess[bytes], pid_file: PurePosixPath, run: Run,
        is_lost: Callable[[], bool],
    ) -> None:
        self._process = process
        self._is_lost = is_lost
        self._pid_file = pid_file
        self._run = run
        self.kill_sent = False

    @property
    def exit_code(self) -> int | None:
        if not self.alive():
            code = self._process.returncode
            return -1 if code is None else code
        return None

    def alive(self) -> bool:
        """Return whether the process runs; False if the connection to the host is lost."""
        return self._process.returncode is None and not self._is_lost()

    async def kill(self) -> None:
        self.kill_sent = True
        await self._signal("KILL")
        if not await self._ends_within(KILL_TIMEOUT_S):
            raise SystemFailed(
                f"a process on another host ({self._pid_file}) did not end after a SIGKILL"
            )

    async def pause(self) -> None:
        await self._signal("STOP")

    async def resume(self) -> None:
        await self._signal("CONT")

    async def terminate(self, grace_ms: int) -> None:
        await self._signal("TERM")
        if not await self._ends_within(grace_ms / 1000):
            await self.kill()

    async def _ends_within(self, timeout_s: float) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while self.alive() and loop.time() < deadline:  # noqa: ASYNC110 - no event for both causes
            await asyncio.sleep(POLL_S)
        return not self.alive()

    async def _signal(self, name: str) -> None:
        if self.alive():
            # The process may end at the same time. Then the command fails, which is no error.
            await self._run(f'kill -s {name} -- "-$(cat {self._pid_file})" 2> /dev/null || true')
