"""Stops a running process for a moment, to change it while none of its threads runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from splitbrain.nemesis.errors import FaultError

STOP_TIMEOUT_S = 5.0
_POLL_S = 0.001


@asynccontextmanager
async def stopped(pid: int, may_resume: Callable[[], bool]) -> AsyncIterator[None]:
    """Stop all threads of `pid` while the body of `async with` runs.

    At the end, the process is continued if `may_resume()` is true.

    Raises FaultError if the process does not stop in time, or does not exist.
    """
    try:
        os.kill(pid, signal.SIGSTOP)
        async with asyncio.timeout(STOP_TIMEOUT_S):
            while not is_stopped(pid):  # noqa: ASYNC110 - the kernel's state
                await asyncio.sleep(_POLL_S)
        yield
    except ProcessLookupError:
        raise FaultError(f"process {pid} has ended") from None
    except TimeoutError:
        raise FaultError(f"process {pid} did not stop within {STOP_TIMEOUT_S:g} s") from None
    finally:
        if may_resume():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def is_stopped(pid: int) -> bool:
    """Return whether all threads of `pid` are stopped by a signal or by a tracer, or have ended."""
    states = []
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):  # the thread has just ended
            states.append(stat.read_text().rpartition(")")[2].split()[0])
    return all(state in "TtZX" for state in states)


def instruction_pointers(pid: int) -> list[int]:
    """Return the addresses at which the threads of a stopped process will continue."""
    found = []
    for call in Path(f"/proc/{pid}/task").glob("*/syscall"):
        with contextlib.suppress(OSError, ValueError):
            found.append(int(call.read_text().split()[-1], 16))
    return found


def started(pid: int) -> int | None:
    """Return when the process `pid` started, in clock ticks since boot, or None if it has ended.

    The pid and this time together identify a process.
    """
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return None
