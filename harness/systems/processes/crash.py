"""A crash: the end of a member that the harness did not cause, and what its log says about it."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from splitbrain.nemesis.fault_target import MemberName

PANIC_LINES_MAX = 12
LOG_LINES_MAX = 20
LINE_CHARACTERS_MAX = 500
LOG_READ_BYTES_MAX = 8_000_000
"""Only this many bytes at the end of a long log are read."""

PORT_LOST = ("address already in use", "something else listens on")
"""Texts, in lower case, that members of etcd and of this project log if they cannot bind a port."""

_PANIC = re.compile(
    r"^(panic: |\tpanic: |fatal error: |runtime: |SIG[A-Z]+: |unexpected fault address )"  # Go
    r"|\"level\":\s*\"(panic|fatal|dpanic)\""  # zap, and this project's own member
    r"|^Traceback \(most recent call last\)"  # Python
    r"|^thread '.*' panicked at "  # Rust
    r"|^(Exception in thread |# A fatal error has been detected)"  # Java
    r"|^\S+\.[cm]?js:\d+$"  # Node
    r"|^(terminate called |.*[Aa]ssertion .* failed|.*ERROR: \w+Sanitizer|\*\*\* .* \*\*\*)"  # C++
    r"|\b(FATAL|PANIC)\b"
)


class Crash(msgspec.Struct, frozen=True):
    """The end of a member's process that the harness did not cause."""

    member: MemberName
    how: str
    """How the member ended: `exit code 2`, or `signal 6 (SIGABRT)`."""
    panic: tuple[str, ...] = ()
    """The first lines of the panic or the traceback; () if the member's log contains neither."""
    log_tail: tuple[str, ...] = ()
    """The last lines of the member's log."""
    log: str = ""
    """The path of the member's log."""
    at: int = 0
    """When the harness noticed the end, in ns since the start of the run."""

    @property
    def port_lost(self) -> bool:
        """Return whether the member could not bind, because another program took its port."""
        return any(words in line.lower() for line in self.log_tail for words in PORT_LOST)


def crash_of(member: MemberName, exit_code: int | None, log: Path, log_begin: int = 0) -> Crash:
    """Return the crash of a process that has ended with `exit_code`.

    The output of this process begins at byte `log_begin` of its log. None as `exit_code` means that
    the exit code is unknown.
    """
    lines = _last_lines(log, log_begin)
    return Crash(
        member,
        ending(exit_code),
        panic=first_panic_lines(lines),
        log_tail=tuple(lines[-LOG_LINES_MAX:]),
        log=str(log),
    )


class Endable(Protocol):
    """A process that can end, and whose exit code can be read."""

    @property
    def kill_sent(self) -> bool:
        """Return whether the harness sent a SIGKILL, so that the end is no crash.

        The process need not have ended yet.
        """

    @property
    def exit_code(self) -> int | None:
        """Return the exit code: None while the process runs, -9 after a SIGKILL."""

    def alive(self) -> bool:
        """Return whether the process runs. A process stopped by SIGSTOP runs."""


class CrashLog:
    """The crashes of a cluster's processes: the ends that the harness did not cause."""

    def __init__(self) -> None:
        self._crashes: dict[Endable, Crash] = {}
        self._log_begins: dict[Endable, int] = {}

    def clear(self) -> None:
        """Forget all processes and crashes."""
        self._crashes.clear()
        self._log_begins.clear()

    def add_process(self, process: Endable, log_begin: int) -> None:
        """Register a process that was started when its log had `log_begin` bytes."""
        self._log_begins[process] = log_begin

    def notice(self, member: MemberName, process: Endable, log: Path) -> None:
        """Record the crash of a process of `member`, once.

        Does nothing if it runs or was killed.
        """
        if process.alive() or process.kill_sent or process in self._crashes:
            return
        self._crashes[process] = crash_of(
            member, process.exit_code, log, self._log_begins.get(process, 0)
        )

    def all(self) -> Sequence[Crash]:
        """Return the crashes, in the order in which they were noticed."""
        return tuple(self._crashes.values())


def log_bytes(log: Path) -> int:
    """Return the length of a log; 0 if it does not exist."""
    return log.stat().st_size if log.exists() else 0


def ending(exit_code: int | None) -> str:
    """Return `exit_code` in words. A negative one is the number of a signal."""
    if exit_code is None or exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return f"signal {-exit_code} ({signal.Signals(-exit_code).name})"
    except ValueError:
        return f"signal {-exit_code}"


def first_panic_lines(lines: list[str]) -> tuple[str, ...]:
    """Return the first lines of the last panic in `lines`; () if there is none.

    Consecutive lines that all look like the beginning of a panic are one panic, because Go prints a
    line for each panic that a deferred function raised again.
    """
    place = next((at for at in reversed(range(len(lines))) if _PANIC.search(lines[at])), None)
    if place is None:
        return ()
    while place and _PANIC.search(lines[place - 1]):
        place -= 1
    return tuple(lines[place : place + PANIC_LINES_MAX])


def _last_lines(log: Path, begin: int) -> list[str]:
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(begin, size - LOG_READ_BYTES_MAX, 0))
            text = file.read(LOG_READ_BYTES_MAX).decode(errors="replace")
    except OSError as problem:
        return [f"(no log: {problem})"]
    return [line[:LINE_CHARACTERS_MAX] for line in text.splitlines() if line.strip()]
