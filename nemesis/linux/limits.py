"""Resource limits of a running process: its open files and its memory."""

from __future__ import annotations

import itertools
import resource
from collections.abc import Callable
from pathlib import Path

from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.linux.undo_journal import ChangedLimit, Identity, Journal, identity

FILES = resource.RLIMIT_NOFILE
MEMORY = resource.RLIMIT_AS


class Limit:
    """The changed limit of one process. `set_limit` creates an object."""

    def __init__(self, change: ChangedLimit, journal: Journal, number: int) -> None:
        self._change = change
        self._journal = journal
        self._number = number

    def change(self, value: int) -> None:
        """Set the limit to `value`, or to the hard limit if that is lower."""
        change = self._change
        if change.process.exists():
            limit = _bounded(value, change.hard)
            _prlimit(change.process.pid, change.resource, (limit, change.hard))

    def restore(self) -> None:
        """Set the old limit, if the process still runs. A second call has no effect."""
        change = self._change
        if change.process.exists():
            _prlimit(change.process.pid, change.resource, (change.soft, change.hard))
        self._journal.settle(self._number)


def set_limit(pid: int, kind: int, value: int, journal: Journal) -> Limit:
    """Set the soft limit `kind` of the process to `value`, or to the hard limit if that is lower.

    Raises FaultError if the limit cannot be changed.
    """
    soft, hard = _prlimit(pid, kind, None)
    change = ChangedLimit(identity(pid), kind, soft, hard)
    number = journal.note(change)
    _prlimit(pid, kind, (_bounded(value, hard), hard))
    return Limit(change, journal, number)


def _bounded(value: int, hard: int) -> int:
    return value if hard == resource.RLIM_INFINITY else min(value, hard)


class LimitsInForce:
    """The limits that faults have set. If several faults limit a process, the lowest is in force.

    When the last of these faults ends, the process gets its original limit back.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._limits: dict[tuple[Identity, int], tuple[Limit, dict[int, int]]] = {}
        """For a process and a kind of limit: how to restore it, and the value of each fault."""
        self._number = 0

    def add(self, pid: int, kind: int, value: int) -> Callable[[], None]:
        """Limit the process until the returned function is called.

        Raises FaultError if the limit cannot be changed.
        """
        self._number += 1
        key, number = (identity(pid), kind), self._number
        if key in self._limits:
            limit, values = self._limits[key]
            limit.change(min(value, *values.values()))
        else:
            limit, values = set_limit(pid, kind, value, self._journal), {}
            self._limits[key] = (limit, values)
        values[number] = value

        def remove() -> None:
            if values.pop(number, None) is None:
                return
            if values:
                limit.change(min(values.values()))
            else:
                del self._limits[key]
                limit.restore()

        return remove


def files_limit(pid: int, spare: int) -> int:
    """Return the limit with which the process can open `spare` more files.

    The kernel limits the highest file descriptor and not the number of open files. A process may
    therefore have unused file descriptors below the highest one. Raises FaultError if the open
    files cannot be read.
    """
    try:
        used = {int(one.name) for one in Path(f"/proc/{pid}/fd").iterdir()}
    except OSError as problem:
        raise FaultError(f"the open files of process {pid}: {problem.strerror}") from problem
    unused = (number for number in itertools.count() if number not in used)
    return next(itertools.islice(unused, spare, None))


def memory_bytes(pid: int) -> int:
    """Return the size of the process's address space. Raises FaultError if it cannot be read."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    except OSError as problem:
        raise FaultError(f"the memory of process {pid}: {problem.strerror}") from problem
    return pages * resource.getpagesize()


def _prlimit(pid: int, kind: int, limits: tuple[int, int] | None) -> tuple[int, int]:
    try:
        return resource.prlimit(pid, kind, limits) if limits else resource.prlimit(pid, kind)
    except OSError as problem:
        raise FaultError(
            f"a limit of process {pid} cannot be changed: {problem.strerror}"
        ) from problem
