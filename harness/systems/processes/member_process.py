"""One process of a member, with its log and its signals.

The harness signals only processes that it has started, and never searches for a process by name.
The process has a separate session and process group. Therefore a Ctrl-C in the terminal does not
reach it, and a signal to the group reaches its children too. Its stdout and stderr are appended to
its log.

The kernel kills the process when the thread that started it ends, for whatever reason
(PR_SET_PDEATHSIG). So start a member in a thread that lives as long as the member: the thread of
the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import importlib.util
import os
import pwd
import signal
import subprocess
import sysconfig
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from splitbrain.harness.errors import SystemFailed

_PR_SET_PDEATHSIG = 1
_PR_SET_PTRACER = 0x59616D61
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
_POLL_S = 0.01
LOG_TAIL_BYTES_MAX = 4_000
LOG_TAIL_LINES_MAX = 20
KILL_TIMEOUT_MS = 10_000
PAUSE_TIMEOUT_S = 5.0


class MemberProcess:
    """A process that runs or has ended. `spawn` starts one."""

    def __init__(self, child: subprocess.Popen[bytes], command: Sequence[str]) -> None:
        self._child = child
        self._command = tuple(command)
        self._identity = psutil.Process(child.pid)
        """The pid together with the time of creation. No other process has the same pair."""
        self._paused = False
        self.kill_sent = False
        """Whether a SIGKILL was sent. The process need not have ended yet."""

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """Return the exit code: None while the process runs, -9 after a SIGKILL."""
        return self._child.poll()

    def alive(self) -> bool:
        """Return whether the process runs. A process stopped by SIGSTOP runs."""
        return self.exit_code is None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and its children. Does nothing if the process has ended."""
        # The signal cannot hit another process group, because a process that has ended keeps its
        # pid until `poll` has returned its exit code, and `alive` calls `poll`.
        if self.alive() and self._identity.is_running():
            os.killpg(self.pid, number)

    async def pause(self) -> None:
        """Send SIGSTOP, and wait until the process has stopped, ended or been resumed.

        Raises SystemFailed if that takes longer than `PAUSE_TIMEOUT_S`.
        """
        self._paused = True
        self.signal(signal.SIGSTOP)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PAUSE_TIMEOUT_S
        while self._paused and self.alive() and not self.is_stopped():
            if loop.time() > deadline:
                raise SystemFailed(
                    f"process {self.pid} did not stop within {PAUSE_TIMEOUT_S} s of a SIGSTOP"
                )
            await asyncio.sleep(0.001)

    def resume(self) -> None:
        """Send SIGCONT to the process and its children."""
        self._paused = False
        self.signal(signal.SIGCONT)

    def is_stopped(self) -> bool:
        """Return whether every thread of the process has stopped after a SIGSTOP.

        A thread stops when it next leaves the kernel. Therefore a thread that waits for a disk
        stops only after the disk has answered.
        """
        states = []
        for stat in Path(f"/proc/{self.pid}/task").glob("*/stat"):
            with contextlib.suppress(OSError):  # the thread has just ended
                states.append(stat.read_text().rpartition(")")[2].split()[0])
        return all(state in "TtZX" for state in states)

    def kill(self) -> None:
        """Send SIGKILL to the process and its children, without waiting for their end."""
        self.kill_sent = True
        self.signal(signal.SIGKILL)

    async def kill_and_wait(self) -> None:
        """Send SIGKILL and wait until the process has ended and its ports and locks are free."""
        self.kill()
        if await self.wait(KILL_TIMEOUT_MS) is None:
            raise SystemFailed(
                f"process {self.pid} ({' '.join(self._command)}) did not end within "
                f"{KILL_TIMEOUT_MS} ms of a SIGKILL: it hangs in the kernel; look at "
                f"/proc/{self.pid}/stack"
            )

    async def terminate(self, grace_ms: int) -> None:
        """Send SIGTERM, and SIGKILL if the process still runs after `grace_ms`.

        The process is resumed if it is paused.
        """
        try:
            if grace_ms:
                self.signal(signal.SIGTERM)
                self.signal(signal.SIGCONT)
                await self.wait(grace_ms)
        finally:
            self.kill()
        await self.kill_and_wait()

    async def wait(self, timeout_ms: int) -> int | None:
        """Wait for the end of the process, at most `timeout_ms`.

        Returns the exit code, or None if the process still runs.
        """
        deadline = time.monotonic() + timeout_ms / 1000
        # Polling works without a child watcher of the event loop and without a signal handler.
        while (code := self.exit_code) is None and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
        return code


def spawn(
    command: Sequence[str], env: Mapping[str, str], log: Path, pass_fds: Sequence[int] = (), *,
    user: str | None = None, folder: Path | None = None, namespace: Path | None = None,
    output: int | None = None,
) -> MemberProcess:
    """Start `command`, and append its output to `log`. Raises SystemFailed if it cannot start.

    If `output` is given, the process writes to this file descriptor instead of to `log`. The
    process runs as `user`, in the working directory `folder` and the network namespace `namespace`.
    None means the user, the directory or the namespace of the harness. `pass_fds` are file
    descriptors that stay open in the process.
    """
    as_user = None if user is None else pwd.getpwnam(user)
    network = None if namespace is None else os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        try:
            child = subprocess.Popen(
                command,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=file if output is None else output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=pass_fds,
                cwd=folder,
                preexec_fn=_prepare_child(network, as_user),  # noqa: PLW1509 - only system calls
            )
        except (OSError, subprocess.SubprocessError) as problem:
            raise SystemFailed(
                f"cannot start {' '.join(command)!r}: {problem}; expected a program that this "
                "user may run"
            ) from problem
        finally:
            if network is not None:
                os.close(network)
    try:
        return MemberProcess(child, command)
    except psutil.Error as problem:
        child.kill()
        child.wait()
        raise SystemFailed(f"{' '.join(command)!r} ended at once; its log is {log}") from problem


def _prepare_child(network: int | None, user: pwd.struct_passwd | None) -> Callable[[], None]:
    """Return a function that a child process calls between fork and exec.

    The function does these steps in this order:

    - It enters the network namespace `network`. The user `user` may lack the permission for that,
      so this step is first.
    - It becomes the user `user`.
    - It does what `die_with_parent` describes. This step is last, because a change of the user
      would undo it.

    None means no change of the namespace or the user.
    """
    setns, last = _LIBC.setns, die_with_parent()
    setgroups, setgid, setuid = os.setgroups, os.setgid, os.setuid
    exit_now = os._exit

    def prepare() -> None:
        if network is not None and setns(network, _CLONE_NEWNET) != 0:
            exit_now(126)
        if user is not None:
            setgroups(())
            setgid(user.pw_gid)
            setuid(user.pw_uid)
        last()

    return prepare


def die_with_parent() -> Callable[[], None]:
    """Return a function that a child process calls between fork and exec.

    The function asks the kernel to kill the child when its parent ends. It also allows other
    processes of this user to trace the child, where the kernel restricts that (Yama). It takes no
    lock, because a lock that another thread held at the fork is never released in the child.
    """
    # Python's import takes a lock. Therefore all names that the function uses are looked up before
    # the fork.
    prctl, parent, getppid, exit_now = _LIBC.prctl, os.getpid(), os.getppid, os._exit
    death = int(signal.SIGKILL)

    any_process = ctypes.c_ulong(-1)

    def request() -> None:
        prctl(_PR_SET_PDEATHSIG, death, 0, 0, 0)
        prctl(_PR_SET_PTRACER, any_process, 0, 0, 0)  # fails without Yama, which is no loss
        if getppid() != parent:  # the parent ended before the call
            exit_now(127)

    return request


def python_env() -> dict[str, str]:
    """Return an environment in which `python -m splitbrain.…` works in any folder."""
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
    """Return the last lines of a log for an error message, each indented by two spaces.

    The text has at most LOG_TAIL_LINES_MAX lines and LOG_TAIL_BYTES_MAX bytes. If there is no log,
    or the log is empty, the text is a note about that.
    """
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - LOG_TAIL_BYTES_MAX, 0))
            text = file.read(LOG_TAIL_BYTES_MAX).decode(errors="replace").strip()
    except OSError as problem:
        return f"  (no log: {problem})"
    lines = text.splitlines()[-LOG_TAIL_LINES_MAX:]
    return "\n".join(f"  {line}" for line in lines) or "  (the log is empty)"
