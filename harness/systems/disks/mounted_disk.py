"""The disk of one member: a FUSE file system, mounted on the member's data folder.

A separate process serves the file system (`splitbrain.harness.disk`), so that the members' file
operations do not compete with the clients of the harness for the interpreter.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from splitbrain.harness.disk.commands import (
    Answer,
    Command,
    LosePower,
    LoseSectors,
    PowerOn,
    Rot,
    Save,
    SetState,
)
from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.systems.processes.member_process import (
    MemberProcess,
    log_tail,
    python_env,
    spawn,
)
from splitbrain.nemesis.disk_fault import DiskArea, DiskState
from splitbrain.nemesis.linux.mounts import unmount
from splitbrain.nemesis.linux.undo_journal import Journal, MountedFolder

MOUNT_TIMEOUT_S = 15.0
ANSWER_TIMEOUT_S = 60.0


class MountedDisk:
    """A disk that is mounted on `folder` between `mount` and `unmount`."""

    def __init__(
        self, folder: Path, areas: Mapping[DiskArea, Sequence[str]], seed: int, journal: Journal
    ) -> None:
        self.folder = folder
        self._areas = areas
        self._seed = seed
        self._journal = journal
        self._number = 0
        self._log = folder.with_name("disk.log")
        self._child: MemberProcess | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._lock = asyncio.Lock()

    async def mount(self) -> None:
        """Start the disk's process and wait until the disk is mounted. Raises SystemFailed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._number = self._journal.note(MountedFolder(str(self.folder)))
        ours, theirs = socket.socketpair()
        with theirs:
            handle = theirs.fileno()
            command = (
                sys.executable, "-P", "-m", "splitbrain.harness.disk", str(handle),
                str(self.folder), str(self._seed), msgspec.json.encode(self._areas).decode(),
            )
            self._child = spawn(command, python_env(), self._log, pass_fds=(handle,))
        self._reader, self._writer = await asyncio.open_unix_connection(sock=ours)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + MOUNT_TIMEOUT_S
        while not os.path.ismount(self.folder):  # noqa: ASYNC240 - reads no file of the disk
            if not self._child.alive() or loop.time() > deadline:
                raise SystemFailed(
                    f"the disk of {self.folder} cannot be mounted; its log ({self._log}) ends:\n"
                    f"{log_tail(self._log)}"
                )
            await asyncio.sleep(0.01)

    async def set_state(self, state: DiskState) -> None:
        await self._ask(SetState(state))

    async def lose_power(self) -> None:
        """Lose the data that is not durable. Until `power_on`, every file operation fails."""
        await self._ask(LosePower())

    async def power_on(self) -> None:
        await self._ask(PowerOn())

    async def rot(self, area: DiskArea, bits: int) -> str:
        return await self._ask(Rot(area, bits))

    async def lose_sectors(self, area: DiskArea, sectors: int) -> str:
        return await self._ask(LoseSectors(area, sectors))

    async def unmount(self) -> None:
        """Unmount the disk, and put its files into the folder. May be called in any state."""
        child, self._child = self._child, None
        if child is None:
            return
        saved = self.folder.with_name("data.saved")
        with contextlib.suppress(SystemFailed):
            await self._ask(Save(str(saved)))
        if self._writer is not None:
            self._writer.close()
        unmount(self.folder)
        await child.kill_and_wait()
        if saved.exists():
            self.folder.rmdir()
            saved.rename(self.folder)
        self._journal.settle(self._number)

    async def _ask(self, command: Command) -> str:
        async with self._lock:
            if self._writer is None or self._reader is None:
                raise SystemFailed(f"the disk of {self.folder} is not mounted: start the cluster")
            try:
                self._writer.write(msgspec.json.encode(command) + b"\n")
                line = await asyncio.wait_for(self._reader.readline(), ANSWER_TIMEOUT_S)
            except (OSError, RuntimeError, TimeoutError) as problem:
                raise self._failed(type(problem).__name__) from problem
        if not line:
            raise self._failed("it has ended")
        answer = msgspec.json.decode(line, type=Answer)
        if answer.error:
            raise SystemFailed(f"the disk of {self.folder}: {answer.error}")
        return answer.text

    def _failed(self, why: str) -> SystemFailed:
        return SystemFailed(
            f"the process of the disk of {self.folder} does not answer: {why}; "
            f"its log ({self._log}) ends:\n{log_tail(self._log)}"
        )
