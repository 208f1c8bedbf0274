"""Runs the proxies in a separate process, which the harness controls through `ProxyProcess`.

All messages between members pass through the proxies. In the loop of the harness they would
compete with the clients for the interpreter, so that a loaded harness would look like a slow
network.

The harness sends one JSON line for each command over a socket pair and waits for its answer,
so that the state of a link is in force when `set_link` returns. The process ends when the
harness exits or closes its end of the pair.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import signal
import socket
import struct
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.systems.process import MemberProcess, log_tail, python_env, spawn
from splitbrain.harness.systems.proxies.proxy import Proxies
from splitbrain.nemesis.capabilities import LinkState
from splitbrain.nemesis.fault import MemberName

ANSWER_TIMEOUT_S = 10.0
LINKS_MAX = 4_096
COUNTER = struct.Struct("=Q")


class Listen(msgspec.Struct, frozen=True, tag_field="do", tag="listen"):
    target: MemberName
    port: int


class SetOwners(msgspec.Struct, frozen=True, tag_field="do", tag="set_owners"):
    pids: dict[MemberName, int | tuple[int, ...]]


class SetLink(msgspec.Struct, frozen=True, tag_field="do", tag="set_link"):
    source: MemberName
    target: MemberName
    state: LinkState
    slot: int
    """The place of the link's counter in the shared memory."""


Command = Listen | SetOwners | SetLink


class Answer(msgspec.Struct, frozen=True):
    port: int = 0
    error: str = ""


class ProxyProcess:
    """The proxies of one cluster, controlled by the harness."""

    def __init__(self, seed: int, log: Path) -> None:
        self._seed = seed
        self._log = log
        self._child: MemberProcess | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._lock = asyncio.Lock()
        self._unread_answers = 0
        """The number of answers that have not been read yet."""
        self._slots: dict[tuple[MemberName, MemberName], int] = {}
        self._counters: mmap.mmap | None = None
        """Shared memory in which the process counts what each link has changed."""

    async def start(self) -> None:
        ours, theirs = socket.socketpair()
        memory = os.memfd_create("splitbrain-links")
        os.ftruncate(memory, LINKS_MAX * COUNTER.size)
        self._counters = mmap.mmap(memory, LINKS_MAX * COUNTER.size)
        with theirs:
            handles = (theirs.fileno(), memory)
            module = "splitbrain.harness.systems.proxies.proxy_process"
            command = (sys.executable, "-P", "-m", module, *map(str, handles), str(self._seed))
            self._child = spawn(command, python_env(), self._log, pass_fds=handles)
        os.close(memory)
        self._reader, self._writer = await asyncio.open_unix_connection(sock=ours)

    async def listen(self, target: MemberName, port: int) -> int:
        """Open the proxy in front of `target` at port `port`. Returns the port of the proxy."""
        return (await self._ask(Listen(target, port))).port

    async def set_owners(self, pids: Mapping[MemberName, int | tuple[int, ...]]) -> None:
        """Set the process ids of each running member."""
        await self._ask(SetOwners(dict(pids)))

    async def set_link(self, source: MemberName, target: MemberName, state: LinkState) -> None:
        slot = self._slots.setdefault((source, target), len(self._slots))
        await self._ask(SetLink(source, target, state, slot))

    def link_effects(self, source: MemberName, target: MemberName) -> int:
        """The number of chunks and connections that the faults of the link have changed so far."""
        slot = self._slots.get((source, target))
        if slot is None or self._counters is None:
            return 0
        return int(COUNTER.unpack_from(self._counters, slot * COUNTER.size)[0])

    async def stop(self) -> None:
        """End the process. It may be called in any state."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        child, self._child = self._child, None
        if child is not None:
            await child.kill_and_wait()

    async def _ask(self, command: Command) -> Answer:
        async with self._lock:
            if self._writer is None or self._reader is None:
                raise SystemFailed("the proxies between members are not running: start the cluster")
            if self._writer.is_closing():  # uvloop raises here, asyncio does not
                raise self._failed("it has ended")
            try:
                self._writer.write(msgspec.json.encode(command) + b"\n")
                self._unread_answers += 1
                line = await asyncio.wait_for(self._last_answer(self._reader), ANSWER_TIMEOUT_S)
            except (OSError, TimeoutError) as problem:
                raise self._failed(type(problem).__name__) from problem
            if not line:
                raise self._failed("it has ended")
        answer = msgspec.json.decode(line, type=Answer)
        if answer.error:
            raise SystemFailed(f"the proxies between members: {answer.error}")
        return answer

    async def _last_answer(self, reader: asyncio.StreamReader) -> bytes:
        """Read the answer to the last command. Skips the answers to commands that were cancelled.
        """
        line = b""
        while self._unread_answers:
            line = await reader.readline()
            self._unread_answers -= 1
        return line

    def _failed(self, why: str) -> SystemFailed:
        return SystemFailed(
            f"the process of the proxies between members does not answer: {why}; "
            f"its log ({self._log}) ends:\n{log_tail(self._log)}"
        )


# --- in the process of the proxies ----------------------------------------------------


class _Counters:
    """Counts what each link has changed, in memory that the harness reads."""

    def __init__(self, memory: int) -> None:
        self._memory = mmap.mmap(memory, LINKS_MAX * COUNTER.size)
        self.slots: dict[tuple[MemberName, MemberName], int] = {}

    def add(self, link: tuple[MemberName, MemberName], changed: int) -> None:
        slot = self.slots.get(link, LINKS_MAX)
        if slot < LINKS_MAX:
            place = slot * COUNTER.size
            (count,) = COUNTER.unpack_from(self._memory, place)
            COUNTER.pack_into(self._memory, place, count + changed)


async def _serve(control: socket.socket, memory: int, seed: int) -> None:
    """Execute commands until the harness closes its end."""
    reader, writer = await asyncio.open_unix_connection(sock=control)
    decoder = msgspec.json.Decoder(Command)
    counters = _Counters(memory)
    proxies = Proxies(seed, counters.add)
    try:
        while line := await reader.readline():
            try:
                answer = await _execute(proxies, counters, decoder.decode(line))
            except OSError as problem:
                answer = Answer(error=str(problem))
            writer.write(msgspec.json.encode(answer) + b"\n")
    finally:
        await proxies.close()


async def _execute(proxies: Proxies, counters: _Counters, command: Command) -> Answer:
    match command:
        case Listen(target, port):
            return Answer(port=await proxies.listen(target, port))
        case SetOwners(pids):
            proxies.set_owners(pids)
        case SetLink(source, target, state, slot):
            counters.slots[source, target] = slot
            proxies.set_link(source, target, state)
    return Answer()


def main() -> None:
    import uvloop  # only this process needs it, not the harness

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the harness handles a Ctrl-C
    control = socket.socket(fileno=int(sys.argv[1]))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(control, int(sys.argv[2]), int(sys.argv[3])))
    os._exit(0)


if __name__ == "__main__":
    main()
