"""One process of a member: started, signalled and ended by its identity, never by name.

It stands in a session and process group of its own, so that a Ctrl-C in the
terminal does not reach it and signals reach its children, writes stdout and stderr
to its log, and is killed by the kernel when the thread that started it ends, however
that comes about. (PR_SET_PDEATHSIG belongs to the thread, not to the process:
start members in the thread whose loop drives them.)
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import importlib.util
import os
import signal
import subprocess
import sysconfig
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from splitbrain.harness.errors import SystemFailed

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
_POLL_S = 0.01
_LOG_TAIL_BYTES_MAX = 4_000
KILL_TIMEOUT_MS = 10_000


class MemberProcess:
    """A running (or ended) process. Made by `spawn`."""

    def __init__(self, child: subprocess.Popen[bytes], command: Sequence[str]) -> None:
        self._child = child
        self._command = tuple(command)
        self._identity = psutil.Process(child.pid)
        """Pid and time of creation together: no other process ever has both."""
        self.kill_sent = False
        """Whether it has been sent a SIGKILL, though it may not be gone yet."""

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; -9 for a SIGKILL."""
        return self._child.poll()

    def alive(self) -> bool:
        """Whether it runs; one that is stopped does."""
        return self.exit_code is None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and what it started; nothing if it has ended.

        An ended child keeps its pid until `poll` has seen it end, and `alive` asks
        `poll` first, so that the group's number cannot be somebody else's.
        """
        if self.alive() and self._identity.is_running():
            os.killpg(self.pid, number)

    def is_stopped(self) -> bool:
        """Whether every thread is stopped by a SIGSTOP. The signal takes effect when a
        thread next leaves the kernel: one that waits for a disk goes on until then."""
        states = []
        for stat in Path(f"/proc/{self.pid}/task").glob("*/stat"):
            with contextlib.suppress(OSError):  # a thread that has just ended
                states.append(stat.read_text().rpartition(")")[2].split()[0])
        return all(state in "TtZX" for state in states)

    def kill(self) -> None:
        """SIGKILL to the process and what it started; does not wait for the end."""
        self.kill_sent = True
        self.signal(signal.SIGKILL)

    async def kill_and_wait(self) -> None:
        """SIGKILL, and wait until it is gone, so that its ports and locks are free."""
        self.kill()
        if await self.wait(KILL_TIMEOUT_MS) is None:
            raise SystemFailed(
                f"process {self.pid} ({' '.join(self._command)}) did not end within "
                f"{KILL_TIMEOUT_MS} ms of a SIGKILL: it hangs in the kernel; look at "
                f"/proc/{self.pid}/stack"
            )

    async def terminate(self, grace_ms: int) -> None:
        """SIGTERM (a paused process goes on to receive it), and SIGKILL after `grace_ms`."""
        try:
            if grace_ms:
                self.signal(signal.SIGTERM)
                self.signal(signal.SIGCONT)
                await self.wait(grace_ms)
        finally:
            self.kill()
        await self.kill_and_wait()

    async def wait(self, timeout_ms: int) -> int | None:
        """Its exit code, None if it still runs after `timeout_ms`."""
        give_up = time.monotonic() + timeout_ms / 1000
        # A child that is polled needs no watcher of its own in the loop, nor a signal handler.
        while (code := self.exit_code) is None and time.monotonic() < give_up:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
        return code


def spawn(
    command: Sequence[str], env: Mapping[str, str], log: Path, pass_fds: Sequence[int] = ()
) -> MemberProcess:
    """Start `command`, its output appended to `log`. Raises SystemFailed if that cannot be."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        try:
            child = subprocess.Popen(
                command,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=pass_fds,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - see there
            )
        except (OSError, subprocess.SubprocessError) as problem:
            raise SystemFailed(
                f"cannot start {' '.join(command)!r}: {problem}. Expected a program that this "
                "user may run"
            ) from problem
    try:
        return MemberProcess(child, command)
    except psutil.Error as problem:
        child.kill()
        child.wait()
        raise SystemFailed(f"{' '.join(command)!r} was gone at once: see {log}") from problem


def die_with_parent() -> Callable[[], None]:
    """What a child does between fork and exec: ask the kernel to kill it with its parent.

    Everything is looked up beforehand: between fork and exec only the two calls are
    made, nothing that takes a lock that another thread may have held at the fork.
    """
    prctl, parent, getppid, leave = _LIBC.prctl, os.getpid(), os.getppid, os._exit
    death = int(signal.SIGKILL)

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, death, 0, 0, 0)
        if getppid() != parent:  # the parent died before the kernel knew
            leave(127)

    return ask


def python_env() -> dict[str, str]:
    """This process's environment, in which `python -m` finds our packages from any folder."""
    env = dict(os.environ)
    package = importlib.util.find_spec("splitbrain")
    assert package is not None
    assert package.origin is not None
    root = str(Path(package.origin).resolve().parents[1])
    if root not in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        env["PYTHONPATH"] = os.pathsep.join(filter(None, (root, env.get("PYTHONPATH"))))
    env["PYTHONUNBUFFERED"] = "1"
    return env


def log_tail(log: Path) -> str:
    """The end of a log, for an error message; says so where there is none."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - _LOG_TAIL_BYTES_MAX, 0))
            text = file.read(_LOG_TAIL_BYTES_MAX).decode(errors="replace").strip()
    except OSError as problem:
        return f"(no log: {problem})"
    return text or "(nothing in the log)"
