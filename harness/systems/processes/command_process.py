"""A process that executes commands of the harness, and counts events in shared memory.

The harness starts a Python module in a separate process with two file descriptors: one end of a
socket pair, and shared memory for the counters. The process first sends a line, which means that it
is ready. Then the harness sends one JSON line for each command and waits for the line of the
answer. The process ends when the harness exits or closes its end of the pair.

The harness uses the class `ControlledProcess`. The process itself uses `serve_commands` and
`Counters`.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import signal
import socket
import struct
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.systems.processes.member_process import (
    MemberProcess,
    log_tail,
    python_env,
    spawn,
)

ANSWER_TIMEOUT_S = 60.0
COUNTERS_MAX = 4_096
_COUNTER = struct.Struct("=Q")


class Counters:
    """Counters in shared memory, which one process changes and another process reads.

    A slot is the position of a counter, from 0.
    """

    def __init__(self, memory: int) -> None:
        """Map the shared memory of the file descriptor `memory`, a result of `new_memory`."""
        self._memory = mmap.mmap(memory, COUNTERS_MAX * _COUNTER.size)

    def add(self, slot: int, number: int) -> None:
        """Add `number` to the counter at `slot`. Does nothing if `slot` >= COUNTERS_MAX."""
        if slot < COUNTERS_MAX:
            _COUNTER.pack_into(self._memory, slot * _COUNTER.size, self.value(slot) + number)

    def value(self, slot: int) -> int:
        """Return the counter at `slot`; 0 if `slot` >= COUNTERS_MAX."""
        if slot >= COUNTERS_MAX:
            return 0
        return int(_COUNTER.unpack_from(self._memory, slot * _COUNTER.size)[0])


def new_memory() -> int:
    """Create shared memory for the counters. Returns its descriptor, which the caller closes."""
    memory = os.memfd_create("splitbrain-counters")
    os.ftruncate(memory, COUNTERS_MAX * _COUNTER.size)
    return memory


class ControlledProcess:
    """The controlled process, as the harness sees it. `what` describes it in messages."""

    def __init__(self, what: str, module: str, log: Path) -> None:
        self._what = what
        self._module = module
        self._log = log
        self._child: MemberProcess | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._lock = asyncio.Lock()
        self._unread_answers = 0
        """The number of answers that have not been read yet."""
        self._counters: Counters | None = None

    async def start(self, seed: int, namespace: Path | None = None) -> None:
        """Start the process in the network namespace `namespace`, by default the harness's.

        Returns when the process is ready. Raises SystemFailed.
        """
        ours, theirs = socket.socketpair()
        memory = new_memory()
        self._counters = Counters(memory)
        with theirs:
            handles = (theirs.fileno(), memory)
            command = (sys.executable, "-P", "-m", self._module, *map(str, handles), str(seed))
            self._child = spawn(
                command, python_env(), self._log, pass_fds=handles, namespace=namespace
            )
        os.close(memory)
        self._reader, self._writer = await asyncio.open_unix_connection(sock=ours)
        self._unread_answers = 1
        await self._answer(self._reader)

    async def ask(self, command: msgspec.Struct) -> bytes:
        """Send `command` and return the line of the answer. Raises SystemFailed."""
        async with self._lock:
            if self._writer is None or self._reader is None:
                raise SystemFailed(f"the process of {self._what} is not running: start the cluster")
            if self._writer.is_closing():  # uvloop raises here, asyncio does not
                raise self._failed("it has ended")
            try:
                self._writer.write(msgspec.json.encode(command) + b"\n")
            except OSError as problem:
                raise self._failed(type(problem).__name__) from problem
            self._unread_answers += 1
            return await self._answer(self._reader)

    def counter(self, slot: int | None) -> int:
        """Return the counter that the process keeps for a link at position `slot`.

        Returns 0 if the link has no counter (`slot` is None), or if the process never started.
        """
        return 0 if slot is None or self._counters is None else self._counters.value(slot)

    async def stop(self) -> None:
        """End the process. The method may be called in any state."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        child, self._child = self._child, None
        if child is not None:
            await child.kill_and_wait()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        """Skip the answers to cancelled commands, and return the answer to the last command."""
        line = b""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                while self._unread_answers:
                    line = await reader.readline()
                    self._unread_answers -= 1
        except (OSError, TimeoutError) as problem:
            raise self._failed(type(problem).__name__) from problem
        if not line:
            raise self._failed("it has ended")
        return line

    def _failed(self, why: str) -> SystemFailed:
        return SystemFailed(
            f"the process of {self._what} does not answer: {why}; its log ({self._log}) ends:\n"
            f"{log_tail(self._log)}"
        )


Execute = Callable[[bytes], Awaitable[bytes]]
"""A function that executes the command in one JSON line. It returns the answer, without a line
feed."""


def serve_commands(prepare: Callable[[Counters, int], Awaitable[Execute]]) -> None:
    """Execute commands until the harness closes its end; the main function of the process.

    `prepare` receives the counters and the seed, and returns the function that executes commands.
    """
    import uvloop  # only this process needs it, not the harness

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the harness handles a Ctrl-C
    control, memory, seed = map(int, sys.argv[1:4])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(socket.socket(fileno=control), prepare(Counters(memory), seed)))
    # The harness has closed its end. Exit without waiting for what still runs in threads or
    # handlers.
    os._exit(0)


async def _serve(control: socket.socket, preparing: Awaitable[Execute]) -> None:
    execute = await preparing
    reader, writer = await asyncio.open_unix_connection(sock=control)
    writer.write(b"\n")  # ready
    while line := await reader.readline():
        writer.write(await execute(line) + b"\n")
