"""strace, attached to a running process, injects faults into system calls.

A call can be delayed, fail with an error, or stop the whole process. strace reports each matching
call when the call begins. The traced process continues when strace detaches, and also if strace or
this process is killed. Only one tracer can be attached to a process.

strace counts calls for each thread separately (its `when=`). Programs such as etcd move work
between threads, so this module counts the calls of all threads itself.

Source: strace(1), "Tampering"; ptrace(2).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.linux.ptrace_permission import tracing_refused

ATTACH_TIMEOUT_S = 10.0
DETACH_TIMEOUT_S = 5.0
MESSAGE_CHARACTERS_MAX = 2_000
_POLL_S = 0.005
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Calls:
    """The system calls that strace reports and affects: some kinds of calls on some files."""

    names: tuple[str, ...]
    """The names of the calls, such as `fdatasync`. A name that the architecture lacks is
    ignored."""
    paths: tuple[str, ...]
    """The files whose calls are affected. Empty: the calls on all files."""


class Strace:
    """strace while it is attached to the process `pid`. `attach` creates an object."""

    def __init__(self, pid: int, child: subprocess.Popen[bytes], calls: Calls) -> None:
        self.pid = pid
        self._child = child
        self._event = re.compile(rf"(?<!\w)(?:{'|'.join(calls.names)})\(|(stopped) by SIGSTOP")
        self._changed = asyncio.Event()
        self._unscanned = ""
        self.output = ""
        """The beginning of what strace has printed, for error messages."""
        self.calls_begun = 0
        """How many of the calls have begun since strace attached."""
        self.stops = 0
        """How often a thread was reported as stopped by a SIGSTOP."""
        self._pump = asyncio.create_task(self._read(), name=f"strace of {pid}")

    @classmethod
    async def attach(cls, pid: int, calls: Calls, inject: str = "") -> Strace:
        """Attach strace to all threads of `pid`. `inject` is its action, such as `error=EIO`.

        Returns when strace is attached. Raises FaultError if it cannot attach.
        """
        if (why := missing()):
            raise FaultError(why)
        names = ",".join(f"?{name}" for name in calls.names)
        command = ["strace", "-f", "-p", str(pid), "-e", f"trace={names}", "-e", "signal=STOP"]
        if inject:
            command += ["-e", f"inject={names}:{inject}"]
        for path in calls.paths:
            command += ["-P", path]
        child = _start(command)
        strace = cls(pid, child, calls)
        try:
            async with asyncio.timeout(ATTACH_TIMEOUT_S):
                while " attached" not in strace.output:
                    if child.poll() is not None:
                        raise FaultError(f"strace cannot trace process {pid}: {strace.message}")
                    await strace.changed()
        except TimeoutError:
            await strace.detach()
            raise FaultError(
                f"strace did not attach to process {pid} within {ATTACH_TIMEOUT_S:g} s: "
                f"{strace.message}"
            ) from None
        except BaseException:
            await strace.detach()
            raise
        return strace

    @property
    def message(self) -> str:
        """Return the beginning of strace's output, for error messages."""
        return self.output.strip()[:300] or "it printed nothing"

    @property
    def ended(self) -> bool:
        """Return whether strace has ended, as it does when the traced process ends."""
        return self._pump.done() or self._child.poll() is not None

    async def changed(self) -> None:
        """Wait until strace has printed something or has ended, at most for a tenth of a second."""
        self._changed.clear()
        if not self.ended:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await self._changed.wait()

    async def detach(self, *, from_killed: bool = False) -> None:
        """Detach strace from the process. A delayed call continues at once.

        A second call has no effect.

        If the process was killed during a delay, use `from_killed`, which kills strace. Otherwise
        strace would wait for the end of the delay, and the process would not end before that.
        """
        if self._child.poll() is None and not from_killed:
            self._child.send_signal(signal.SIGTERM)
            await self._wait(DETACH_TIMEOUT_S)
        if self._child.poll() is None:
            self._child.kill()
            await self._wait(DETACH_TIMEOUT_S)
        self._pump.cancel()
        await asyncio.wait([self._pump])

    async def _wait(self, timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        # Polling works without a child watcher of the event loop.
        while self._child.poll() is None and loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)

    async def _read(self) -> None:
        assert self._child.stderr is not None
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), self._child.stderr
        )
        try:
            while chunk := await reader.read(65_536):
                self._scan(chunk.decode(errors="replace"))
        finally:
            self._changed.set()
            transport.close()

    def _scan(self, text: str) -> None:
        if len(self.output) < MESSAGE_CHARACTERS_MAX:
            self.output += text
        self._unscanned += text
        end = 0
        for found in self._event.finditer(self._unscanned):
            if found[1]:
                self.stops += 1
            else:
                self.calls_begun += 1
            end = found.end()
        # The name of a call may be split between two reads.
        self._unscanned = self._unscanned[end:][-64:]
        self._changed.set()


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=_die_with_parent(),  # noqa: PLW1509 - it only makes one system call
    )


def is_dying(pid: int) -> bool:
    """Return whether `pid` has a pending SIGKILL or has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    pending = int(fields["SigPnd"], 16) | int(fields["ShdPnd"], 16)
    return bool(pending & 1 << (signal.SIGKILL - 1)) or fields["State"][0] in "ZX"


def missing() -> str:
    """Return why processes cannot be traced on this machine, and what to do; "" if they can."""
    if shutil.which("strace") is None:
        return "faults of system calls need the program strace; install it (Debian: strace)"
    refused = tracing_refused()
    return f"faults of system calls need the right to trace processes: {refused}" if refused else ""


def _die_with_parent() -> Callable[[], None]:
    """Return a function that the child process calls before it becomes strace.

    It makes the kernel kill strace if its parent ends. When strace is killed, the traced process
    continues.
    """
    prctl, death = _LIBC.prctl, int(signal.SIGKILL)
    return lambda: prctl(_PR_SET_PDEATHSIG, death, 0, 0, 0) and None


SYSTEM_CALLS: Mapping[str, tuple[str, ...]] = {
    "sync": ("fdatasync", "fsync", "msync", "sync_file_range"),
    "write": ("write", "pwrite64", "writev", "pwritev", "pwritev2"),
    "read": ("read", "pread64", "readv", "preadv", "preadv2"),
    "open": ("open", "openat"),
}
"""Maps a kind of call to the names of its system calls."""
