"""A journal of changes to the machine that must be undone, also after a crash of the harness.

Each change is written to the journal before it is made, and marked as settled after it is undone. A
journal belongs to the process that wrote it. If that process has ended, the next run undoes the
changes that were not settled (`undo_leftovers`). A restart of the machine undoes all changes, and
removes the journals too.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.linux.mounts import unmount
from splitbrain.nemesis.linux.namespaces import remove_interface, remove_namespace
from splitbrain.nemesis.linux.process_clock import write_memory
from splitbrain.nemesis.linux.stop_process import started


class Identity(msgspec.Struct, frozen=True):
    """Identifies a process by its pid and its start time, because the kernel reuses pids."""

    pid: int
    started: int

    def exists(self) -> bool:
        """Return whether the process still runs."""
        return started(self.pid) == self.started


class PatchedMemory(msgspec.Struct, frozen=True, tag="memory"):
    """The record that bytes in the memory of a process were replaced.

    It is undone by writing the old bytes.
    """

    process: Identity
    old: tuple[tuple[int, bytes], ...]
    """Pairs of an address and the old bytes there."""


class ChangedLimit(msgspec.Struct, frozen=True, tag="limit"):
    """The record that a resource limit of a process was changed.

    It is undone by setting the old limit.
    """

    process: Identity
    resource: int
    soft: int
    hard: int


class StoppedProcess(msgspec.Struct, frozen=True, tag="stopped"):
    """The record that a process was stopped by SIGSTOP. It is undone by SIGCONT."""

    process: Identity


class MountedFolder(msgspec.Struct, frozen=True, tag="mount"):
    """The record that a file system was mounted. It is undone by unmounting it."""

    folder: str


class NetworkNamespace(msgspec.Struct, frozen=True, tag="namespace"):
    """The record that a network namespace was created. It is undone by removing the namespace."""

    name: str


class NetworkInterface(msgspec.Struct, frozen=True, tag="interface"):
    """The record that a network interface of the machine was created.

    It is undone by removing the interface.
    """

    name: str


Change = (
    PatchedMemory | ChangedLimit | StoppedProcess | MountedFolder
    | NetworkNamespace | NetworkInterface
)


class _Line(msgspec.Struct, frozen=True):
    number: int
    change: Change | None = None
    """The change that is about to be made. None: the change with this number has been undone."""


class Journal:
    """The journal of this process. Its file exists while there is a change that is not undone."""

    _files = itertools.count(1)

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or default_folder()
        self._open: set[int] = set()
        self._numbers = itertools.count(1)
        own = os.getpid()
        self._path = self._folder / f"{own}-{started(own)}-{next(self._files)}.jsonl"

    def note(self, change: Change) -> int:
        """Record `change`, which is about to be made. Returns its number for `settle`."""
        number = next(self._numbers)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._append(_Line(number, change))
        self._open.add(number)
        return number

    def settle(self, number: int) -> None:
        """Record that the change `number` has been undone. A second call has no effect."""
        if number not in self._open:
            return
        self._open.remove(number)
        if self._open:
            self._append(_Line(number))
        else:
            self._path.unlink(missing_ok=True)

    def _append(self, line: _Line) -> None:
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(line) + b"\n")


def default_folder() -> Path:
    """Return the folder of the journals of this user."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    place = Path(runtime) if runtime else Path(tempfile.gettempdir())
    return place / f"splitbrain-{os.geteuid()}-journal"


def undo_leftovers(folder: Path | None = None) -> int:
    """Undo the changes that ended processes have left. Returns the number of undone changes.

    A change that cannot be undone is skipped. Usually the process that it concerns has ended.
    """
    undone = 0
    for path in sorted((folder or default_folder()).glob("*.jsonl")):
        pid, begun, _ = (int(part) for part in path.stem.split("-"))
        if Identity(pid, begun).exists():
            continue
        for change in reversed(list(_unsettled(path))):
            with contextlib.suppress(FaultError, OSError):
                undone += undo(change)
        path.unlink(missing_ok=True)
    return undone


def undo(change: Change) -> bool:
    """Undo a change. Returns False if there is nothing left to undo."""
    if isinstance(change, MountedFolder):
        return unmount(Path(change.folder))
    if isinstance(change, NetworkNamespace):
        return remove_namespace(change.name)
    if isinstance(change, NetworkInterface):
        return remove_interface(change.name)
    process = change.process
    if not process.exists():
        return False
    match change:
        case PatchedMemory():
            write_memory(process.pid, list(change.old))
        case ChangedLimit():
            resource.prlimit(process.pid, change.resource, (change.soft, change.hard))
        case StoppedProcess():
            os.kill(process.pid, signal.SIGCONT)
    return True


def identity(pid: int) -> Identity:
    """Return the identity of the running process `pid`. Raises FaultError if it has ended."""
    begun = started(pid)
    if begun is None:
        raise FaultError(f"process {pid} has ended")
    return Identity(pid, begun)


def _unsettled(path: Path) -> Iterator[Change]:
    """Yield the changes in a journal that were not settled. A damaged line is ignored."""
    changes: dict[int, Change] = {}
    for text in path.read_bytes().splitlines():
        try:
            line = msgspec.json.decode(text, type=_Line)
        except msgspec.MsgspecError:
            continue
        if line.change is None:
            changes.pop(line.number, None)
        else:
            changes[line.number] = line.change
    yield from changes.values()
