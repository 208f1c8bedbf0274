"""Writes a history to its file while the run is observed, one line for each event.

When a method of `Recorder` returns, its event is in the file, even if the harness is killed right
afterwards. The harness records an invocation before it sends the request. The file is a
`MappedFile`, so that an event needs no system call. If its file system cannot map files,
each event is one unbuffered write. The file is not synced, because a history need not survive a
crash of the machine. In a simulated run, the events are buffered instead, because its seed can
repeat the run.

Indexes start at 0 and increase by 1. Times never decrease, because one thread records all events.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from io import DEFAULT_BUFFER_SIZE
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec

from splitbrain.histories.client_call import Plain
from splitbrain.histories.event import NEMESIS, EventType, FaultEvent, Process
from splitbrain.histories.mapped_file import MappedFile
from splitbrain.histories.service_operation import AnyRequest, AnyResult


class _Event(msgspec.Struct, gc=False, omit_defaults=True):
    """An `Event` that is encoded together with its value."""

    index: int
    time: int
    process: Process
    type: EventType
    f: str
    value: AnyRequest | AnyResult | FaultEvent | Plain
    node: str | None = None
    error: str | None = None


class _WrittenFile:
    """Appends each line to a file by a write. Used if the file system cannot map files."""

    def __init__(self, path: Path, buffer_bytes: int = 0) -> None:
        self._file: BinaryIO = path.open("ab", buffer_bytes)

    def append(self, line: bytes) -> None:
        line += b"\n"
        written = self._file.write(line)
        # An unbuffered write to a nearly full disk may write only a part.
        while written < len(line):
            written += self._file.write(line[written:])

    def close(self) -> None:
        self._file.close()


class Recorder:
    """Appends events to the file `path`, and events of the nemesis also to `nemesis_path`.

    Times are in ns since the recorder was created. `origin_ns` is the time at which the recorder
    was created, as `clock_ns` returned it. If `buffered` is set, the files are complete only after
    `close`. A recorder must not be shared by threads.
    """

    def __init__(
        self,
        path: Path,
        nemesis_path: Path | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        *,
        buffered: bool = False,
    ) -> None:
        buffer_bytes = DEFAULT_BUFFER_SIZE if buffered else 0
        self._file = _WrittenFile(path, buffer_bytes) if buffered else _opened(path)
        self._append = self._file.append
        self._nemesis_file = _WrittenFile(nemesis_path, buffer_bytes) if nemesis_path else None
        self._encode = msgspec.json.Encoder().encode
        self._index = 0
        self._clock_ns = clock_ns
        self.origin_ns = clock_ns()

    def now(self) -> int:
        """Return the time in ns since the recorder was created."""
        return self._clock_ns() - self.origin_ns

    def invoke(self, process: int, f: str, request: AnyRequest | Plain, node: str) -> int:
        """Record that a client is about to send `request` to `node`; returns the event's index."""
        return self._write(process, "invoke", f, request, node)

    def ok(self, process: int, f: str, result: AnyResult | Plain, node: str) -> int:
        """Record the answer of an operation that happened; returns the event's index."""
        return self._write(process, "ok", f, result, node)

    def fail(self, process: int, f: str, node: str, error: str) -> int:
        """Record that an operation certainly did not happen; returns the event's index."""
        return self._write(process, "fail", f, None, node, error)

    def info(self, process: int, f: str, node: str, error: str) -> int:
        """Record that an operation may have happened, or may happen later.

        Returns the event's index. The caller must retire `process`.
        """
        return self._write(process, "info", f, None, node, error)

    def fault(self, f: str, event: FaultEvent, error: str | None = None) -> int:
        """Record a phase of a fault, as an event of the nemesis; returns the event's index."""
        return self._write(NEMESIS, "info", f, event, None, error)

    def close(self) -> None:
        """Close the files. It may be called twice; no event can be recorded afterwards."""
        self._file.close()
        if self._nemesis_file is not None:
            self._nemesis_file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write(
        self,
        process: Process,
        type_: EventType,
        f: str,
        value: AnyRequest | AnyResult | FaultEvent | Plain,
        node: str | None,
        error: str | None = None,
    ) -> int:
        index = self._index
        time_ns = self._clock_ns() - self.origin_ns
        line = self._encode(_Event(index, time_ns, process, type_, f, value, node, error))
        self._append(line)
        if process == NEMESIS and self._nemesis_file is not None:
            self._nemesis_file.append(line)
        self._index = index + 1
        return index


def _opened(path: Path) -> MappedFile | _WrittenFile:
    try:
        return MappedFile(path)
    except OSError:
        return _WrittenFile(path)
