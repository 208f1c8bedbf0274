"""Starts and controls the process that delays and changes packets (`slow_links.py`)."""

from __future__ import annotations

import asyncio
import mmap
import os
import socket
import sys
from pathlib import Path

import msgspec

from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.systems.networks.ruleset import Link
from splitbrain.harness.systems.networks.slow_links import COUNTER, LINKS_MAX, SetState
from splitbrain.harness.systems.process import MemberProcess, log_tail, python_env, spawn
from splitbrain.nemesis.capabilities import LinkState

ANSWER_TIMEOUT_S = 15.0


class SlowProcess:
    """The process of one cluster. It runs in the network namespace of the router."""

    def __init__(self, seed: int, log: Path) -> None:
        self._seed = seed
        self._log = log
        self._child: MemberProcess | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._lock = asyncio.Lock()
        self._slots: dict[Link, int] = {}
        self._counters: mmap.mmap | None = None

    async def start(self, namespace: Path) -> None:
        """Start the process, and wait until its interface exists. Raises SystemFailed."""
        ours, theirs = socket.socketpair()
        memory = os.memfd_create("splitbrain-packets")
        os.ftruncate(memory, LINKS_MAX * COUNTER.size)
        self._counters = mmap.mmap(memory, LINKS_MAX * COUNTER.size)
        with theirs:
            handles = (theirs.fileno(), memory)
            module = "splitbrain.harness.systems.networks.slow_links"
            command = (sys.executable, "-P", "-m", module, *map(str, handles), str(self._seed))
            self._child = spawn(
                command, python_env(), self._log, pass_fds=handles, namespace=namespace
            )
        os.close(memory)
        self._reader, self._writer = await asyncio.open_unix_connection(sock=ours)
        await self._answer(self._reader)

    async def set_state(self, link: Link, state: LinkState) -> None:
        """Set the state of the link between two addresses."""
        async with self._lock:
            if self._writer is None or self._reader is None:
                raise SystemFailed("the process of slow links is not running: start the cluster")
            slot = self._slots.setdefault(link, len(self._slots))
            self._writer.write(msgspec.json.encode(SetState(*link, state, slot)) + b"\n")
            await self._answer(self._reader)

    def effects(self, link: Link) -> int:
        """How many packets of the link were delayed, changed or lost."""
        slot = self._slots.get(link)
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

    async def _answer(self, reader: asyncio.StreamReader) -> None:
        try:
            line = await asyncio.wait_for(reader.readline(), ANSWER_TIMEOUT_S)
        except (OSError, TimeoutError) as problem:
            raise self._failed(type(problem).__name__) from problem
        if not line:
            raise self._failed("it has ended")

    def _failed(self, why: str) -> SystemFailed:
        return SystemFailed(
            f"the process of slow links does not answer: {why}; its log ({self._log}) ends:\n"
            f"{log_tail(self._log)}"
        )
