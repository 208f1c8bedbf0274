"""Implements the `World` of a member that is a process: clocks, disk, network, randomness."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable
from pathlib import Path
from random import Random

import msgspec

from splitbrain.node.real.clock import RealClock
from splitbrain.node.real.disk import RealDisk
from splitbrain.node.real.network import RealNetwork
from splitbrain.node.world import Clock, Disk, DiskError


class RealWorld:
    """The clock, disk, network and randomness of a member that is a process.

    Without a `seed`, random numbers come from the operating system. Without a `trace_path`, no
    trace is written. Raises DiskError if the trace cannot be opened.
    """

    def __init__(
        self,
        member: str,
        data_dir: Path,
        *,
        seed: int | None,
        trace_path: Path | None,
        backend_quota_bytes: int,
        hold_unsynced: bool = False,
    ) -> None:
        self.random = Random(seed)
        self.clock: Clock = RealClock()
        self._disk = RealDisk(
            data_dir, backend_quota_bytes=backend_quota_bytes, hold_unsynced=hold_unsynced
        )
        self.disk: Disk = self._disk
        self.network = RealNetwork(self.random, self.log)
        self._member = member
        self._trace = self._open_trace(trace_path)
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._stopping: asyncio.Future[tuple[int, str]] | None = None
        self._encode = msgspec.json.Encoder(enc_hook=str).encode

    @staticmethod
    def _open_trace(path: Path | None) -> int | None:
        if path is None:
            return None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            raise DiskError(
                f"--trace-file {path} cannot be written: {problem.strerror or problem}"
            ) from problem

    def trace(self, line: bytes) -> None:
        if self._trace is not None:
            os.write(self._trace, line)

    def spawn(self, work: Awaitable[None], name: str) -> None:
        async def run() -> None:
            await work

        task = asyncio.get_running_loop().create_task(run(), name=name)
        self._tasks[task] = None
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if task.cancelled():
            return
        problem = task.exception()
        if problem is not None:
            self.stop(1, f"{task.get_name()}: {type(problem).__name__}: {problem}")

    def log(self, level: str, message: str, **fields: object) -> None:
        now = time.time()
        second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        stamp = f"{second}.{int(now * 1e3) % 1000:03d}Z"
        entry = {"level": level, "ts": stamp, "member": self._member, "msg": message, **fields}
        sys.stderr.buffer.write(self._encode(entry) + b"\n")
        sys.stderr.buffer.flush()

    def stop(self, code: int, why: str) -> None:
        stopping = self._stopping_future()
        if not stopping.done():
            stopping.set_result((code, why))

    async def stopped(self) -> tuple[int, str]:
        """Wait until `stop` is called, and return its exit code and reason."""
        return await asyncio.shield(self._stopping_future())

    def _stopping_future(self) -> asyncio.Future[tuple[int, str]]:
        if self._stopping is None:
            self._stopping = asyncio.get_running_loop().create_future()
        return self._stopping

    def buggify(self, place: str) -> bool:
        return False

    def crash(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def stand_still(self, place: str) -> None:
        self.log("info", "a failpoint stops this member", failpoint=place)
        os.kill(os.getpid(), signal.SIGSTOP)

    async def end_tasks(self) -> None:
        """Cancel the member's tasks, and wait for the work of the disk's threads."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._disk.end_work()

    def close(self) -> None:
        """Release the lock on the data directory, and close the trace."""
        self._disk.close()
        if self._trace is not None:
            os.close(self._trace)
            self._trace = None
