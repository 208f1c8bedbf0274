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
import os
import signal
import socket
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


class Listen(msgspec.Struct, frozen=True, tag_field="do", tag="listen"):
    target: MemberName
    port: int


class SetOwners(msgspec.Struct, frozen=True, tag_field="do", tag="set_owners"):
    pids: dict[MemberName, int | tuple[int, ...]]


class SetLink(msgspec.Struct, frozen=True, tag_field="do", tag="set_link"):
    source: MemberName
    target: MemberName
    state: LinkState


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

    async def start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            handle = theirs.fileno()
            module = "splitbrain.harness.systems.proxies.proxy_process"
            command = (sys.executable, "-P", "-m", module, str(handle), str(self._seed))
            self._child = spawn(command, python_env(), self._log, pass_fds=(handle,))
        self._reader, self._writer = await asyncio.open_unix_connection(sock=ours)

    async def listen(self, target: MemberName, port: int) -> int:
        """Open the proxy in front of `target` at port `port`. Returns the port of the proxy."""
        return (await self._ask(Listen(target, port))).port

    async def set_owners(self, pids: Mapping[MemberName, int | tuple[int, ...]]) -> None:
        """Set the process ids of each running member."""
        await self._ask(SetOwners(dict(pids)))

    async def set_link(self, source: MemberName, target: MemberName, state: LinkState) -> None:
        await self._ask(SetLink(source, target, state))

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


async def _serve(control: socket.socket, seed: int) -> None:
    """Execute commands until the harness closes its end."""
    reader, writer = await asyncio.open_unix_connection(sock=control)
    decoder = msgspec.json.Decoder(Command)
    proxies = Proxies(seed)
    try:
        while line := await reader.readline():
            try:
                answer = await _execute(proxies, decoder.decode(line))
            except OSError as problem:
                answer = Answer(error=str(problem))
            writer.write(msgspec.json.encode(answer) + b"\n")
    finally:
        await proxies.close()


async def _execute(proxies: Proxies, command: Command) -> Answer:
    match command:
        case Listen(target, port):
            return Answer(port=await proxies.listen(target, port))
        case SetOwners(pids):
            proxies.set_owners(pids)
        case SetLink(source, target, state):
            proxies.set_link(source, target, state)
    return Answer()


def main() -> None:
    import uvloop  # only this process needs it, not the harness

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the harness handles a Ctrl-C
    control = socket.socket(fileno=int(sys.argv[1]))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(control, int(sys.argv[2])))
    os._exit(0)


if __name__ == "__main__":
    main()
