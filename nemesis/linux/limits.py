"""Resource limits of a running process: its open files and its memory."""

from __future__ import annotations

import itertools
import resource
from pathlib import Path

from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.linux.undo_journal import ChangedLimit, Journal, identity

FILES = resource.RLIMIT_NOFILE
MEMORY = resource.RLIMIT_AS


class Limit:
    """The changed limit of one process. `set_limit` creates an object."""

    def __init__(self, change: ChangedLimit, journal: Journal, number: int) -> None:
        self._change = change
        self._journal = journal
        self._number = number

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
    limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
    _prlimit(pid, kind, (limit, hard))
    return Limit(change, journal, number)


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
